"""Held-out Playground questions with their meaning."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evals.simulated.plan_answer import objects_of, plan_answer
from sam3agent.rules.grammar import parse
from sam3agent.rules.question_plan import QuestionPlan, Target
from sam3model.errors import ConfigError
from sam3model.playground import Scene, questions, scene

SPLIT = "heldout"


@dataclass(frozen=True, eq=False)
class SceneQuestion:
    """One question: its scene, its words, what they mean, and the ids of the objects that answer it."""

    key: str
    scene: Scene
    text: str
    truth: frozenset[int]
    plan: QuestionPlan

    @property
    def truth_mask(self) -> np.ndarray:
        """The pixels of all objects that answer the question, (H, W) bool."""
        masks = [thing.mask for thing in self.scene.objects if thing.id in self.truth]
        return np.any(masks, axis=0) if masks else np.zeros(self.scene.image.shape[:2], bool)

    def ideal(self) -> frozenset[int] | None:
        """The ids that the plan selects among the true objects; None if the plan cannot be followed."""
        try:
            whole = {number: objects_of(self.scene, target) for number, target in enumerate(self.plan.targets)}
            return frozenset(thing.id for thing in plan_answer(self.scene, self.plan, whole))
        except (IndexError, KeyError):
            return None

    def all_targets(self) -> list[Target]:
        """All targets of the question, with those it compares with and those it leaves out."""
        listed = list[Target]()
        for target in self.plan.targets:
            listed += [target, *(target.relation.anchors if target.relation else ()), *target.exceptions]
        return listed


@lru_cache(maxsize=8)
def scene_questions(count: int, first: int = 0) -> tuple[SceneQuestion, ...]:
    """The first questions from a scene on, without those that the grammar of the simulation does not cover."""
    if count < 1 or first < 0:
        raise ConfigError("--questions must be at least 1, and --first-scene at least 0")
    cases, index = list[SceneQuestion](), first
    while len(cases) < count:
        drawn = scene(SPLIT, index)
        for number, asked in enumerate(questions(drawn)):
            key = f"{SPLIT}/{index}/{number}"
            case = SceneQuestion(key, drawn, asked.text, frozenset(asked.ids), parse(asked.text))
            if case.plan.targets and case.ideal() == case.truth:
                cases.append(case)
        index += 1
    return tuple(cases[:count])
