"""Held-out Playground questions with their meaning."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from evals.simulated.luck import luck
from evals.simulated.plan_answer import objects_of, plan_answer
from sam3agent.rules.grammar import parse
from sam3agent.rules.question_plan import QuestionPlan, Target
from sam3model.errors import ConfigError
from sam3model.playground import Scene, questions, scene

SPLIT = "heldout"
BEST = "most striking"
"""In what the best one is the best."""


@dataclass(frozen=True, eq=False)
class SceneQuestion:
    """One question: its scene, its words, what they mean, and the ids of the objects that answer it.

    charms: how striking each object is, by its id, 0..1, if the question is for the most striking one; else empty.
    """

    key: str
    scene: Scene
    text: str
    truth: frozenset[int]
    plan: QuestionPlan
    charms: Mapping[int, float] = field(default_factory=dict)

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
def best_questions(count: int, first: int = 0) -> tuple[SceneQuestion, ...]:
    """The first questions from a scene on for the best of several things of one kind, which only eyes can tell.

    How striking a thing is is drawn: nothing of it shows on its pixels.
    """
    _check(count, first)
    cases, index = list[SceneQuestion](), first
    while len(cases) < count:
        drawn = scene(SPLIT, index)
        charms = {thing.id: luck("charm", drawn.name, thing.id) for thing in drawn.objects}
        kinds = Counter(thing.kind for thing in drawn.objects)
        for kind in (kind for kind, number in kinds.items() if number > 1):
            best = max((thing.id for thing in drawn.objects if thing.kind == kind), key=charms.__getitem__)
            text = f"the {BEST} {kind}"
            cases.append(
                SceneQuestion(f"{SPLIT}/{index}/{kind}", drawn, text, frozenset([best]), parse(f"the {kind}"), charms)
            )
        index += 1
    return tuple(cases[:count])


@lru_cache(maxsize=8)
def scene_questions(count: int, first: int = 0) -> tuple[SceneQuestion, ...]:
    """The first questions from a scene on, without those that the grammar of the simulation does not cover."""
    _check(count, first)
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


def _check(count: int, first: int) -> None:
    if count < 1 or first < 0:
        raise ConfigError("--questions must be at least 1, and --first-scene at least 0")
