"""Playground: a seeded generator of annotated scenes with phrases, questions and exact ground truth."""

from sam3model.playground.clip import Clip, ClipFrame, ClipObject, clip
from sam3model.playground.clip_paths import ClipEvent, ObjectPath
from sam3model.playground.clip_phrases import clip_phrases
from sam3model.playground.clip_questions import clip_questions
from sam3model.playground.phrases import PhraseQuery, phrases
from sam3model.playground.questions import Question, questions
from sam3model.playground.scene import Scene, SceneObject, scene

__all__ = [
    "Clip",
    "ClipEvent",
    "ClipFrame",
    "ClipObject",
    "ObjectPath",
    "PhraseQuery",
    "Question",
    "Scene",
    "SceneObject",
    "clip",
    "clip_phrases",
    "clip_questions",
    "phrases",
    "questions",
    "scene",
]
