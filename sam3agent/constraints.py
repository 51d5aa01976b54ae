"""Order, place, size and nearness of masks, as typed rules that are computed and never asked of a model's eyes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sam3agent.masks import Mask
from sam3agent.pool import Candidate, MaskPool

RuleName = Literal[
    "leftmost", "rightmost", "topmost", "bottommost", "largest", "smallest", "nearest", "farthest", "left_of",
    "right_of", "above", "below", "behind", "in_front_of", "left_half", "right_half", "top_half", "bottom_half", "not",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Which masks of a group are kept.

    count, position: how many, from which place of the order on (1: the first; -1: the last), for rules that order.
    of: ids of the masks that a rule compares with, or that "not" leaves out. drop: leave out those that the rule names,
    and keep the others.
    """

    name: RuleName
    count: int = 1
    position: int = 1
    of: tuple[int, ...] = ()
    drop: bool = False


@dataclass(frozen=True, slots=True)
class MaskGroup:
    """Masks (ids) taken for what a question names, in words (`what`), and the rules that pick the answer from them."""

    what: str
    ids: tuple[int, ...]
    rules: tuple[Rule, ...] = ()


def kept_by(rules: Sequence[Rule], members: Sequence[Candidate], pool: MaskPool) -> tuple[Candidate, ...]:
    """The members that all rules keep, one rule after the other, in the order of their ids.

    A rule whose masks to compare with are all gone keeps nothing.
    """
    kept = list(members)
    for rule in rules:
        named = {c.id for c in _named(rule, kept, pool)}
        kept = [c for c in kept if (c.id in named) != rule.drop]
    return tuple(sorted(kept, key=lambda c: c.id))


def box_centre(mask: Mask) -> tuple[float, float]:
    """Centre (x, y) of the box in pixels, by which "leftmost" is decided."""
    x0, y0, x1, y1 = mask.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def distance(a: Mask, b: Mask) -> float:
    """Distance between the centres of two boxes, in pixels."""
    return math.dist(box_centre(a), box_centre(b))


def gap(a: Mask, b: Mask) -> float:
    """Distance between the nearest sides of two boxes, in pixels; 0 if they overlap."""
    ax0, ay0, ax1, ay1 = a.box
    bx0, by0, bx1, by1 = b.box
    return math.hypot(max(0, bx0 - ax1, ax0 - bx1), max(0, by0 - ay1, ay0 - by1))


def _named(rule: Rule, members: Sequence[Candidate], pool: MaskPool) -> list[Candidate]:
    """The members that a rule names."""
    if rule.name == "not":
        return [c for c in members if c.id not in rule.of]
    if half := _HALVES.get(rule.name):
        return [c for c in members if half(c.mask)]
    if order := _ORDERS.get(rule.name):
        return _at(rule, sorted(members, key=lambda c: order(c.mask)))
    anchors = [c.mask for mask_id in rule.of if (c := pool.get(mask_id))]
    others = [c for c in members if c.id not in rule.of]
    if not anchors:
        return []
    if rule.name in ("nearest", "farthest"):
        sign = 1 if rule.name == "nearest" else -1
        return _at(rule, sorted(others, key=lambda c: sign * min(distance(c.mask, a) for a in anchors)))
    holds = _RELATIONS[rule.name]
    return [c for c in others if any(holds(c.mask, a) for a in anchors)]


def _at(rule: Rule, order: Sequence[Candidate]) -> list[Candidate]:
    """As many as the rule counts, from its position in an order on."""
    start = len(order) + rule.position if rule.position < 0 else rule.position - 1
    return list(order[max(0, start) : start + rule.count])


def _behind(a: Mask, b: Mask) -> bool:
    """Whether `a` ends higher in the image than `b` and their boxes meet."""
    return a.box[3] < b.box[3] and gap(a, b) == 0


_ORDERS: Mapping[str, Callable[[Mask], float]] = {
    "leftmost": lambda mask: box_centre(mask)[0],
    "rightmost": lambda mask: -box_centre(mask)[0],
    "topmost": lambda mask: box_centre(mask)[1],
    "bottommost": lambda mask: -box_centre(mask)[1],
    "largest": lambda mask: -mask.area,
    "smallest": lambda mask: mask.area,
}
_HALVES: Mapping[str, Callable[[Mask], bool]] = {
    "left_half": lambda mask: box_centre(mask)[0] < mask.width / 2,
    "right_half": lambda mask: box_centre(mask)[0] > mask.width / 2,
    "top_half": lambda mask: box_centre(mask)[1] < mask.height / 2,
    "bottom_half": lambda mask: box_centre(mask)[1] > mask.height / 2,
}
_RELATIONS: Mapping[str, Callable[[Mask, Mask], bool]] = {
    "left_of": lambda a, b: box_centre(a)[0] < box_centre(b)[0],
    "right_of": lambda a, b: box_centre(a)[0] > box_centre(b)[0],
    "above": lambda a, b: box_centre(a)[1] < box_centre(b)[1],
    "below": lambda a, b: box_centre(a)[1] > box_centre(b)[1],
    "behind": _behind,
    "in_front_of": lambda a, b: _behind(b, a),
}
COMPARING = ("nearest", "farthest", *_RELATIONS)
"""Rules that compare with other masks, which `of` names."""
