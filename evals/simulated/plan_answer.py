"""What a question asks of a set of things: the answer of somebody who believes that these are the things there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.simulated.phrase_words import understand
from sam3agent.masks import Box
from sam3agent.rules.question_plan import QuestionPlan, Ranking, Relation, Side, Target
from sam3model.playground import Scene
from sam3model.playground.descriptions import Description

NEAREST = ("nearest", "farthest")


@dataclass(frozen=True, eq=False)
class Thing:
    """Something believed to be there: a mask on display, or (number None) only a thing in the image."""

    id: int
    box: Box
    area: int
    number: int | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the box in pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, slots=True)
class Slips:
    """What goes wrong in reasoning. anchor_seen: whether it is seen that an anchor is absent. steps: by how many an
    order is miscounted."""

    anchor_seen: bool = True
    steps: int = 0


def describe(target: Target) -> Description:
    """The description that a target's noun phrase means. Raises `IndexError` if it means none."""
    return understand(target.what.phrase)[0][0]


def objects_of(shown: Scene, target: Target) -> list[Thing]:
    """The true things of a target's noun phrase."""
    what = describe(target)
    return [Thing(o.id, o.box, o.area) for o in shown.objects if what.matches(o)]


def plan_answer(
    shown: Scene, plan: QuestionPlan, believed: Mapping[int, Sequence[Thing]], slips: Slips = Slips()
) -> list[Thing]:
    """What the plan makes of the things believed to fit each target, by its number.

    Things that the question compares with or leaves out are seen as they are.
    """
    chosen = [t for n, target in enumerate(plan.targets) for t in _choose(shown, target, list(believed[n]), slips)]
    return list({(thing.id, thing.number): thing for thing in chosen}.values())


def anchors_of_target(shown: Scene, relation: Relation) -> list[Thing]:
    """The true things that a relation compares with."""
    return [t for anchor in relation.anchors for t in _choose(shown, anchor, objects_of(shown, anchor), Slips())]


def on_side(thing: Thing, side: Side, width: int, height: int) -> bool:
    """Whether a thing is in a half of the image."""
    x, y = thing.centre
    return {"left": x < width / 2, "right": x > width / 2, "top": y < height / 2, "bottom": y > height / 2}[side]


def _choose(shown: Scene, target: Target, things: list[Thing], slips: Slips) -> list[Thing]:
    height, width = shown.image.shape[:2]
    for side in target.sides:
        things = [t for t in things if on_side(t, side, width, height)]
    if target.relation:
        things = _related(shown, target.relation, things, slips)
    if target.ranking:
        things = _ranked(things, target.ranking, slips.steps)
    out = set[int]()
    for exception in target.exceptions:
        base = _ranked(things, exception.ranking, slips.steps) if exception.ranking else objects_of(shown, exception)
        out |= {t.id for t in base}
    return [t for t in things if t.id not in out]


def _ranked(things: list[Thing], ranking: Ranking, slip: int) -> list[Thing]:
    keys: dict[str, Callable[[Thing], float]] = {
        "left": lambda t: t.centre[0],
        "right": lambda t: -t.centre[0],
        "top": lambda t: t.centre[1],
        "bottom": lambda t: -t.centre[1],
        "large": lambda t: -t.area,
        "small": lambda t: t.area,
    }
    order = sorted(things, key=keys[ranking.axis])
    start = len(order) - 1 if ranking.start < 0 else ranking.start - 1
    start = min(start + slip, max(len(order) - ranking.count, 0)) if slip and order else start
    return order[start : start + ranking.count]


def _related(shown: Scene, relation: Relation, things: list[Thing], slips: Slips) -> list[Thing]:
    objects = {o.id: o for o in shown.objects}
    anchors = anchors_of_target(shown, relation)
    if not anchors:
        return [] if slips.anchor_seen else things[:1]
    anchor = anchors[0]
    rest = [t for t in things if t.id != anchor.id]
    if relation.kind in NEAREST:
        sign = 1 if relation.kind == "nearest" else -1
        rest.sort(key=lambda t: sign * np.hypot(t.centre[0] - anchor.centre[0], t.centre[1] - anchor.centre[1]))
        return rest[min(slips.steps, max(len(rest) - 1, 0)) :][: relation.count]
    a = objects[anchor.id]
    holds: dict[str, Callable[[Thing], bool]] = {
        "left": lambda t: t.centre[0] < anchor.centre[0],
        "right": lambda t: t.centre[0] > anchor.centre[0],
        "above": lambda t: t.centre[1] < anchor.centre[1],
        "below": lambda t: t.centre[1] > anchor.centre[1],
        "behind": lambda t: a.id in objects[t.id].hidden_by and objects[t.id].box[3] + 3 <= a.box[3],
        "front": lambda t: t.id in a.hidden_by and a.box[3] + 3 <= objects[t.id].box[3],
    }
    return [t for t in rest if holds[relation.kind](t)]
