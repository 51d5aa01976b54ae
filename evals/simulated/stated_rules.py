"""What a simulated MLLM states where it is asked for rules instead of an answer: masks, rules, and what is missing.

It perceives no better than where it answers by itself: the same glance at the same masks, the same chance to notice
what has no mask. Two things differ. Rules are computed by the agent, so slips in counting and comparing by eye do not
happen; slips in reading the question do (`Skill.misread`), and then a wrong rule is stated. And masks are listed before
rules are applied, so a mask that is misjudged can be judged again by others. What a question compares with is seen as
it is, as everywhere in this simulation, but it can be named only if it has a mask on display.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.simulated.mind import Mind, ShownMask
from evals.simulated.plan_answer import NEAREST, Slips, Thing, anchors_of_target, describe, objects_of, plan_answer
from evals.simulated.scene_questions import BEST
from sam3agent.rules.question_plan import Ranking, Relation, Target

_ORDERS = {
    "left": "leftmost",
    "right": "rightmost",
    "top": "topmost",
    "bottom": "bottommost",
    "large": "largest",
    "small": "smallest",
}
_RELATIONS = {"left": "left_of", "right": "right_of", "front": "in_front_of"}


@dataclass(frozen=True)
class StatedGroup:
    """Masks that are taken for a target, what it is in words, and the rules as arguments of select_masks."""

    what: str
    ids: tuple[int, ...]
    keep: tuple[dict[str, Any], ...]

    def arguments(self) -> dict[str, Any]:
        """As arguments."""
        return {"what": self.what, "ids": list(self.ids), "keep": list(self.keep)}


@dataclass(frozen=True)
class Statement:
    """What is stated: groups (none: nothing is seen that fits), and whether something wanted has no mask."""

    groups: tuple[StatedGroup, ...]
    missing: bool


def misreads(mind: Mind, *reading: object) -> bool:
    """Whether a reading of the question is wrong. As with looks, part of the mistakes come again in every reading."""
    always = mind.dice("always?", "reading") < mind.skill.shared
    drawn = mind.dice("reason") if always else mind.dice("reason", *reading)
    return drawn >= 1 - (1 - mind.skill.reason) * mind.skill.misread


def sees_no_anchor(mind: Mind, once_more: bool) -> bool:
    """Whether the absence of what the question compares with is seen; part of such mistakes come again."""
    always = not once_more or mind.dice("always?", "anchor") < mind.skill.shared
    drawn = mind.dice("absent anchor") if always else mind.dice("absent anchor", "once more")
    return drawn < mind.skill.sees_absence


def planned(mind: Mind) -> list[dict[str, Any]]:
    """The rules that are stated with the first search, before any mask is seen: the same ones, read another time.

    None for a question that names several things.
    """
    if len(mind.case.plan.targets) != 1:
        return []
    target, steps = mind.case.plan.targets[0], 1 if misreads(mind, "plan") else 0
    keep: list[dict[str, Any]] = [] if steps else [{"rule": f"{side}_half"} for side in target.sides]
    if target.relation and (target.relation.kind in NEAREST or not steps):
        keep.append(_relation(target.relation, steps))
    if target.ranking:
        keep.append(_order(target.ranking, steps))
    for exception in [] if steps and not target.ranking else target.exceptions:
        keep.append({**_order(exception.ranking, steps), "drop": True} if exception.ranking else {"rule": "not"})
    return [*keep, *([{"rule": "best", "by": BEST}] if mind.case.charms else [])]


def state(mind: Mind, shown: Sequence[ShownMask], used: int, again: bool = False, in_vain: bool = False) -> Statement:
    """What is stated of the masks on display, after so many searches.

    again: the question is read once more. in_vain: it is said that nothing was found of what the question compares
    with, so that one looks for it once more.
    """
    case = mind.case
    slipped = misreads(mind, "select", again)
    slips = Slips(sees_no_anchor(mind, in_vain), 1 if slipped else 0)
    believed = {n: mind.believed(target, shown, used) for n, target in enumerate(case.plan.targets)}
    missing = {n: mind.missing(t, believed[n], shown, frozenset()) for n, t in enumerate(case.plan.targets)}
    whole = plan_answer(case.scene, case.plan, {n: [*believed[n], *missing[n]] for n in believed}, slips)
    groups = [
        group
        for n, target in enumerate(case.plan.targets)
        if believed[n] and (group := _group(mind, target, believed[n], shown, slips))
    ]
    return Statement(tuple(groups), any(thing.number is None for thing in whole))


def _group(
    mind: Mind, target: Target, believed: list[Thing], shown: Sequence[ShownMask], slips: Slips
) -> StatedGroup | None:
    """The group of a target; None if nothing of it is in the answer as it is seen."""
    ids = tuple(sorted(thing.number for thing in believed if thing.number is not None))
    keep = list[dict[str, Any]]()
    relation = target.relation
    if relation and not anchors_of_target(mind.case.scene, relation):
        return None if slips.anchor_seen else StatedGroup(target.what.phrase, ids[:1], ())
    if not (slips.steps and target.sides):
        keep += [{"rule": f"{side}_half"} for side in target.sides]
    if relation:
        anchors = _numbers(anchors_of_target(mind.case.scene, relation)[:1], shown)
        if not anchors:
            return _by_eye(mind, target, believed)
        if relation.kind in NEAREST or not slips.steps:
            keep.append({**_relation(relation, slips.steps), "of": anchors})
    if target.ranking:
        keep.append(_order(target.ranking, slips.steps))
    for exception in [] if slips.steps and not target.ranking else target.exceptions:
        if exception.ranking:
            keep.append({**_order(exception.ranking, slips.steps), "drop": True})
        elif out := _numbers(objects_of(mind.case.scene, exception), shown):
            keep.append({"rule": "not", "of": out})
    if mind.case.charms:
        rivals = [thing.number for thing in mind.rivals(believed) if thing.number is not None]
        keep.append({"rule": "best", "by": BEST, "of": rivals})
    return StatedGroup(target.what.phrase, ids, tuple(keep))


def _relation(relation: Relation, steps: int) -> dict[str, Any]:
    more = {"count": relation.count, "position": 1 + steps} if relation.kind in NEAREST else {}
    return {"rule": _RELATIONS.get(relation.kind, relation.kind), **more}


def _order(ranking: Ranking, steps: int) -> dict[str, Any]:
    position = ranking.start if ranking.start < 0 else ranking.start + steps
    return {"rule": _ORDERS[ranking.axis], "count": ranking.count, "position": position}


def _by_eye(mind: Mind, target: Target, believed: list[Thing]) -> StatedGroup | None:
    """The answer by eye, with all slips of reasoning, where a rule cannot be stated; in the words of the question."""
    steps = 1 if mind.dice("reason") >= mind.skill.reason else 0
    number = mind.case.plan.targets.index(target)
    things = {n: believed if n == number else [] for n in range(len(mind.case.plan.targets))}
    chosen = plan_answer(mind.case.scene, mind.case.plan, things, Slips(True, steps))
    ids = tuple(sorted(thing.number for thing in chosen if thing.number is not None))
    return StatedGroup(mind.case.text, ids, ()) if ids else None


def _numbers(things: Sequence[Thing], shown: Sequence[ShownMask]) -> list[int]:
    """Numbers of the masks on display that show these things whole."""
    wanted = {thing.id for thing in things}
    return [m.number for m in shown if m.cover.id in wanted and m.cover.whole]


def described(mind: Mind) -> str:
    """What is sought, in words."""
    return mind.case.plan.targets[0].what.phrase if describe(mind.case.plan.targets[0]) else mind.case.text
