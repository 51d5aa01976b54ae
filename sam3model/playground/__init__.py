"""Playground: a seeded generator of annotated scenes with phrases, questions and exact ground truth."""

from sam3model.playground.phrases import PhraseQuery, phrases
from sam3model.playground.questions import Question, questions
from sam3model.playground.scene import Scene, SceneObject, scene

__all__ = ["PhraseQuery", "Question", "Scene", "SceneObject", "phrases", "questions", "scene"]
