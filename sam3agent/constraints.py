"""Order, place, size, nearness and time of masks, as typed rules that are computed, never asked of a model's eyes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sam3agent.masks import Mask
from sam3agent.motion.camera_path import UNCERTAIN
from sam3agent.motion.event_order import place_in
from sam3agent.pool import Candidate, MaskPool, listed_masks
from sam3agent.rule_terms import AT_MOMENTS, COMPARING, NAMING, TIME_RULES, WITH_SIDES, MaskGroup, Rule, RuleName
from sam3agent.time_rules import moments_of

__all__ = [
    "COMPARING", "MaskGroup", "Rule", "RuleName", "best_first", "box_centre", "distance", "gap", "kept_by",
    "needs_paths", "objection", "proof", "why_none",
]  # fmt: skip


def kept_by(rules: Sequence[Rule], members: Sequence[Candidate], pool: MaskPool) -> tuple[Candidate, ...]:
    """The members that all rules keep, one rule after the other, in the order of their ids.

    A rule whose masks to compare with are all gone keeps nothing.
    """
    kept = list(members)
    for rule in rules:
        named = {c.id for c in _named(rule, kept, pool)}
        kept = [c for c in kept if (c.id in named) != rule.drop]
    return tuple(sorted(kept, key=lambda c: c.id))


def best_first(rule: Rule, members: Sequence[Candidate]) -> list[Candidate]:
    """The members in the order in which they may be the best: as `of` names them, then the others by their scores."""
    places = {mask_id: place for place, mask_id in enumerate(rule.of)}
    return sorted(members, key=lambda c: (places.get(c.id, len(places)), -c.score, c.id))


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


def needs_paths(groups: Sequence[MaskGroup]) -> bool:
    """Whether a rule is about time, so that the paths of the masks must be known."""
    return any(rule.timed for group in groups for rule in group.rules)


def objection(rule: Rule, members: Sequence[Candidate], pool: MaskPool, frames: int) -> str:
    """Why a rule makes no sense for some masks of a medium of so many frames, in one sentence; empty if it does."""
    timed, name = rule.name in TIME_RULES, rule.name.replace("_", " ")
    if (rule.timed or rule.before or rule.after or rule.side) and frames < 2:
        return f'"{name}" with a time needs a clip, and this is an image'
    if rule.at is not None and not -frames <= rule.at < frames:
        return f"the clip has no frame {rule.at}: its frames are 0 to {frames - 1}"
    if rule.at is not None and timed and rule.name != "visible":
        return f'`at` is the frame of a place; "{name}" happens over time: use `before` or `after`'
    if (rule.before or rule.after) and rule.name not in AT_MOMENTS:
        return f'"{name}" is at no moment, so that nothing is before or after it'
    if rule.side and rule.name not in WITH_SIDES:
        return f'"{name}" has no `side`: only {", ".join(sorted(WITH_SIDES))} have'
    if rule.name in NAMING and not rule.of:
        named = {"not": "that it leaves out", "best": "that may be it, the likeliest first"}
        return f'"{name}" needs the ids of masks in `of`: those {named.get(rule.name, "that it compares with")}'
    points = [point for point in (rule.before, rule.after) if point]
    if any((point.frame is None) == (point.mask is None) or bool(point.mask) != bool(point.does) for point in points):
        return "`before` and `after` need the id of a mask and what it does, or a frame"
    if late := [point.frame for point in points if point.frame is not None and not 0 <= point.frame < frames]:
        return f"the clip has no frame {late[0]} to be before or after: its frames are 0 to {frames - 1}"
    named = {c.id for c in members} | set(rule.of) | {point.mask for point in points if point.mask}
    unfollowed = sorted(c.id for c in pool.candidates if c.id in named and len(c.masklet.areas) < 2)
    if timed and unfollowed:
        listed = listed_masks(unfollowed)
        return (
            f'"{name}" is about time, and all that is known of {listed} is one frame: call track first, or leave it out'
        )
    return ""


def why_none(group: MaskGroup, pool: MaskPool) -> str:
    """Which rule left no mask of a group: 'the rule "leaves" holds for none of masks 1, 2'; empty if some are left."""
    members = [c for c in pool.candidates if c.id in group.ids]
    kept = members
    for number, rule in enumerate(group.rules, start=1):
        left = kept_by(group.rules[:number], members, pool)
        if kept and not left:
            return f'the rule "{rule.words()}" holds for none of {listed_masks([c.id for c in kept])}'
        kept = list(left)
    return ""


def proof(groups: Sequence[MaskGroup], ids: Sequence[int], pool: MaskPool) -> str:
    """The frames that show why rules over time kept some masks: "mask 2: leaves, first (frames 3 to 9)"."""
    told = list[str]()
    kept = [c for mask_id in ids if (c := pool.get(mask_id))]
    for group in groups:
        for rule in (rule for rule in group.rules if rule.name in TIME_RULES and not rule.drop):
            any_place = replace(rule, position=0 if rule.name in AT_MOMENTS else 1, count=max(1, len(kept)))
            spans_of = moments_of(any_place, kept, pool)
            for mask_id, spans in spans_of.items():
                told.append(f"mask {mask_id}: {rule.words()} ({', '.join(s.words() for s in spans)})")
    if told and any(c.path and not c.path.camera.certain for c in kept):
        told.append(UNCERTAIN)
    return "; ".join(dict.fromkeys(told))


@dataclass(frozen=True, slots=True)
class _SeenMask:
    """A candidate as places see it: its mask on one frame."""

    id: int
    mask: Mask


def _named(rule: Rule, members: Sequence[Candidate], pool: MaskPool) -> Sequence[Candidate | _SeenMask]:
    """The members that a rule names."""
    if rule.name == "not":
        return [c for c in members if c.id not in rule.of]
    if rule.name == "best":
        return place_in(best_first(rule, members), rule.position, rule.count)
    if rule.name in TIME_RULES:
        named = moments_of(rule, members, pool)
        return [c for c in members if c.id in named]
    anchors = [c for mask_id in rule.of if (c := pool.get(mask_id))]
    frame = _frame(rule, (*members, *anchors))
    views, anchors = (_on_frame(candidates, frame) for candidates in (members, anchors))
    if half := _HALVES.get(rule.name):
        return [c for c in views if half(c.mask)]
    if order := _ORDERS.get(rule.name):
        return place_in(sorted(views, key=lambda c: order(c.mask)), rule.position, rule.count)
    others = [c for c in views if c.id not in rule.of]
    if not anchors:
        return []
    if rule.name in ("nearest", "farthest"):
        sign = 1 if rule.name == "nearest" else -1
        order = sorted(others, key=lambda c: sign * min(distance(c.mask, a.mask) for a in anchors))
        return place_in(order, rule.position, rule.count)
    holds = _RELATIONS[rule.name]
    return [c for c in others if any(holds(c.mask, a.mask) for a in anchors)]


def _frame(rule: Rule, candidates: Sequence[Candidate]) -> int | None:
    """The frame on which places are read; None for masks of one frame each, such as those of an image."""
    if rule.at is not None:
        return next((c.path.frame_at(rule.at) for c in candidates if c.path), max(0, rule.at))
    if all(len(c.masklet.areas) == 1 for c in candidates):
        return None
    counts: dict[int, int] = {}
    for candidate in candidates:
        for t in candidate.masklet.areas:
            counts[t] = counts.get(t, 0) + 1
    return min(counts, key=lambda t: (-counts[t], t))


def _on_frame(candidates: Sequence[Candidate], frame: int | None) -> list[_SeenMask]:
    """The masks on a frame, without what can hardly be seen there."""
    if frame is None:
        return [_SeenMask(c.id, c.mask) for c in candidates]
    there = [c for c in candidates if frame in c.masklet.areas and not (c.path and c.path.presence[frame] == "hidden")]
    return [_SeenMask(c.id, c.masklet.masks[frame]) for c in there]


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
