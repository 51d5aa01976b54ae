"""Questions about how fast, how far, how near or where objects of a clip are, a function each; see `ClipWording`."""

from collections.abc import Callable, Sequence

import numpy as np

from sam3model.playground.clip_facts import IN, OPEN, OUT, Moment
from sam3model.playground.clip_question_forms import ClipContext, ClipWording, those
from sam3model.playground.clip_trails import Trail
from sam3model.playground.question_forms import MOST
from sam3model.playground.relations import DISTANCE_RATIO, MARGIN, SIDES

RATIO = 1.4
"""Minimum ratio between two compared speeds, distances or times."""
Measure = Callable[[Trail], float]


def speed(ctx: ClipContext) -> ClipWording:
    """The fastest or slowest object."""
    group = ctx.group()
    if not group or any(_view(ctx, trail) < 0.5 for trail in group.trails):
        return None
    rate = ctx.facts.clip.rate
    measures = [lambda trail: _speeds(trail, trail.path, rate, 50), lambda trail: _speeds(trail, trail.path, rate, 90)]
    if ctx.facts.clip.camera_moves:
        measures.append(lambda trail: _speeds(trail, trail.centres, rate, 50))
    fastest = ctx.dice.chance(0.7)
    found = _most(group.trails, measures, smallest=not fastest)
    if found is None or not ctx.facts.moves(found):
        return None
    return (
        superlative_text(ctx, ctx.np(group), group.who, "fastest" if fastest else "slowest"),
        (found.id,),
        ctx.facts.whole(),
    )


SUPERLATIVES = {
    "fastest": ("the fastest {np}", "the {np} {who} moves fastest", "the {np} {who} is the fastest"),
    "slowest": ("the slowest {np}", "the {np} {who} moves slowest", "the {np} {who} is the slowest"),
    "farthest": ("the {np} {who} moves the farthest", "the {np} {who} covers the longest distance"),
    "longest": ("the {np} {who} is in the picture the longest", "the {np} {who} can be seen for the longest time"),
}


def superlative_text(ctx: ClipContext, np_: str, who: str, word: str) -> str:
    """Wording for the object that is most of something."""
    return ctx.dice.pick(SUPERLATIVES[word]).format(np=np_, who=who)


def distance(ctx: ClipContext) -> ClipWording:
    """The object that moves the farthest."""
    group = ctx.group()
    if not group:
        return None
    measures = [_length, lambda trail: _net(trail, trail.path)]
    if ctx.facts.clip.camera_moves:
        measures.append(lambda trail: _net(trail, trail.centres))
    found = _most(group.trails, measures)
    if found is None or not ctx.facts.moves(found):
        return None
    return superlative_text(ctx, ctx.np(group), group.who, "farthest"), (found.id,), ctx.facts.whole()


def longest(ctx: ClipContext) -> ClipWording:
    """The object that is in the picture for the longest time."""
    group = ctx.group()
    if not group:
        return None
    measures = [lambda trail: float((trail.inside > OUT).sum()), lambda trail: float((trail.shown > 0.5).sum())]
    found = _most(group.trails, measures)
    return found and (superlative_text(ctx, ctx.np(group), group.who, "longest"), (found.id,), ctx.facts.whole())


def _view(ctx: ClipContext, trail: Trail) -> float:
    """Seconds in view."""
    return float((trail.shown > 0.5).sum()) / ctx.facts.clip.rate


def _speeds(trail: Trail, path: np.ndarray, rate: float, percentile: float) -> float:
    steps = np.hypot(*np.gradient(path, axis=0).T)[trail.inside > 0.5] * rate
    return float(np.percentile(steps, percentile)) if len(steps) else 0.0


def _length(trail: Trail) -> float:
    steps = np.hypot(*np.gradient(trail.path, axis=0).T)
    return float(steps[trail.inside > 0.3].sum())


def _net(trail: Trail, path: np.ndarray) -> float:
    seen = path[trail.inside > 0.3]
    return float(np.hypot(*np.ptp(seen, axis=0))) if len(seen) else 0.0


def _most(trails: Sequence[Trail], measures: Sequence[Measure], *, smallest: bool = False) -> Trail | None:
    """The trail with the largest (smallest) value of every measure, with a clear ratio to the next."""
    found = set()
    for measure in measures:
        order = sorted(((measure(trail), trail.id) for trail in trails), reverse=not smallest)
        far, near = sorted((order[0][0], order[1][0]), reverse=True)
        if far < RATIO * max(near, 1e-6):
            return None
        found.add(order[0][1])
    return next(trail for trail in trails if trail.id in found) if len(found) == 1 else None


WHEN = {
    "start": ("at the start", "at the beginning", "in the first frame"),
    "end": ("at the end", "in the last frame"),
}


def there(ctx: ClipContext, trails: Sequence[Trail], when: str) -> list[Trail] | None:
    """The objects in the picture at the start or end; None if that is unclear for any."""
    t = 0 if when == "start" else ctx.facts.clip.count - 1
    inside = [float(trail.inside[t]) for trail in trails]
    if any(OUT < value < IN for value in inside):
        return None
    seen = [trail for trail, value in zip(trails, inside, strict=True) if value >= IN]
    return None if any(trail.open[t] < OPEN for trail in seen) else seen


def outermost(ctx: ClipContext, trails: Sequence[Trail], side: str, when: str) -> Trail | None:
    """The object nearest to a side at the start or end; None if unclear, or if fewer than two are there."""
    seen = there(ctx, trails, when)
    if not seen or len(seen) < 2:
        return None
    frames = range(3) if when == "start" else range(ctx.facts.clip.count - 3, ctx.facts.clip.count)
    axis, sign = SIDES[side]
    reach = ctx.facts.clip.size[axis]
    found = set()
    for t in frames:
        order = sorted(seen, key=lambda trail: sign * trail.centres[t, axis])
        edge = min(seen, key=lambda trail: sign * trail.boxes[t, axis if sign > 0 else axis + 2])
        gap = sign * (order[1].centres[t, axis] - order[0].centres[t, axis])
        if gap < 1.2 * MARGIN * reach or edge is not order[0]:
            return None
        found.add(order[0].id)
    return next(trail for trail in seen if trail.id in found) if len(found) == 1 else None


def extreme_then(ctx: ClipContext) -> ClipWording:
    """The leftmost object at the start or end."""
    group, side, when = ctx.group(), ctx.dice.pick(tuple(MOST)), ctx.dice.pick(tuple(WHEN))
    found = group and outermost(ctx, group.trails, side, when)
    if not group or not found:
        return None
    return extreme_text(ctx, ctx.np(group), group.who, side, when), (found.id,), _at(ctx, when)


def extreme_text(ctx: ClipContext, np_: str, who: str, side: str, when: str) -> str:
    """Wording for the outermost object at the start or end."""
    time, verb = ctx.dice.pick(WHEN[when]), "was" if when == "start" and ctx.dice.chance(0.7) else "is"
    return ctx.dice.pick((f"the {MOST[side]} {np_} {time}", f"the {np_} {who} {verb} {MOST[side]} {time}"))


def _at(ctx: ClipContext, when: str) -> Moment:
    last = ctx.facts.clip.count - 1
    return Moment(0, min(2, last)) if when == "start" else Moment(max(0, last - 2), last)


def from_to(ctx: ClipContext) -> ClipWording:
    """The object that was outermost at the start, and something else at the end."""
    group, side, other = ctx.group(), ctx.dice.pick(("left", "right")), ctx.dice.pick(("left", "right"))
    if not group:
        return None
    found = outermost(ctx, group.trails, side, "start")
    end = there(ctx, group.trails, "end")
    if not found or end is None or found not in end:
        return None
    np_, before = ctx.np(group), ctx.dice.pick(WHEN["start"])
    if side != other and outermost(ctx, group.trails, other, "end") is found:
        text = f"the {np_} {group.who} was {MOST[side]} {before} and is {MOST[other]} {ctx.dice.pick(WHEN['end'])}"
    else:
        text = f"the {np_} in the picture {ctx.dice.pick(WHEN['end'])} {group.who} was {MOST[side]} {before}"
    return text, (found.id,), ctx.facts.whole()


def present(ctx: ClipContext) -> ClipWording:
    """The objects that are there at the start or end, or gone at the end."""
    group, when = ctx.group(), ctx.dice.pick(tuple(WHEN))
    seen = group and there(ctx, group.trails, when)
    if not group or seen is None:
        return None
    gone = [trail for trail in there(ctx, group.trails, "start") or () if trail not in seen]
    if when == "end" and gone and ctx.dice.chance(0.5):
        ids = tuple(trail.id for trail in gone)
        form = ctx.dice.pick(
            (
                ("is gone at the end", "are gone at the end"),
                ("is not there any more at the end", "are not there any more at the end"),
            )
        )
        return those(ctx, group, len(ids), form), ids, _at(ctx, when)
    if not 0 < len(seen) < len(group.trails):
        return None
    place = f"in the picture {ctx.dice.pick(WHEN[when])}"
    ids = tuple(trail.id for trail in seen)
    return those(ctx, group, len(ids), (f"is {place}", f"are {place}")), ids, _at(ctx, when)


def nearest_then(ctx: ClipContext) -> ClipWording:
    """The object nearest to an anchor at the start or end."""
    group, when = ctx.group(), ctx.dice.pick(tuple(WHEN))
    anchor = group and ctx.anchor(group)
    if not group or not anchor:
        return None
    seen, near = there(ctx, group.trails, when), there(ctx, [anchor[1]], when)
    if not seen or not near or len(seen) < 2:
        return None
    t = 0 if when == "start" else ctx.facts.clip.count - 1
    found = _nearest([(gap(one, anchor[1])[t], apart(one, anchor[1])[t], one) for one in seen], ctx.facts.width)
    if not found:
        return None
    word = ctx.dice.pick(("closest to", "nearest to"))
    return f"the {ctx.np(group)} {word} the {anchor[0]} {ctx.dice.pick(WHEN[when])}", (found.id,), _at(ctx, when)


def approach(ctx: ClipContext) -> ClipWording:
    """The object that comes closest to an anchor at any time."""
    group = ctx.group()
    anchor = group and ctx.anchor(group)
    if not group or not anchor or not any(ctx.facts.moves(one) for one in (*group.trails, anchor[1])):
        return None
    clear, rows = [], []
    for one in group.trails:
        for visible, kept in ((OPEN, clear), (OUT, rows)):
            both = np.minimum(one.shown if visible == OPEN else one.inside, anchor[1].shown) > visible
            if not both.any():
                return None
            kept.append((gap(one, anchor[1])[both].min(), apart(one, anchor[1])[both].min(), one))
    found = _nearest(rows, ctx.facts.width)  # also where it is hidden, as long as the anchor is not
    if found is not _nearest(clear, ctx.facts.width):
        return None
    word = ctx.dice.pick(("comes closest to", "gets closest to", "comes nearest to"))
    return found and (f"the {ctx.np(group)} {group.who} {word} the {anchor[0]}", (found.id,), ctx.facts.whole())


def _nearest(rows: Sequence[tuple[float, float, Trail]], width: float) -> Trail | None:
    """The trail with the smallest gap and distance, both clearly smaller than those of the others."""
    by_gap, by_distance = sorted(rows, key=lambda row: row[0]), sorted(rows, key=lambda row: row[1])
    clear = (
        by_distance[1][1] >= DISTANCE_RATIO * by_distance[0][1]
        and by_distance[1][1] - by_distance[0][1] >= 0.04 * width
        and by_gap[1][0] - by_gap[0][0] >= 0.03 * width
    )
    return by_gap[0][2] if clear and by_gap[0][2] is by_distance[0][2] else None


def apart(one: Trail, two: Trail) -> np.ndarray:
    """Distance between the centres of two objects, (T,) in pixels."""
    return np.hypot(*(one.centres - two.centres).T)


def gap(one: Trail, two: Trail) -> np.ndarray:
    """Distance between the boxes of two objects, (T,) in pixels; 0 if they touch."""
    low, high = np.maximum(one.boxes[:, :2], two.boxes[:, :2]), np.minimum(one.boxes[:, 2:], two.boxes[:, 2:])
    return np.hypot(*np.maximum(low - high, 0).T)


COMPARISON_FORMS: dict[str, Callable[[ClipContext], ClipWording]] = {
    maker.__name__: maker
    for maker in (speed, distance, longest, extreme_then, from_to, present, nearest_then, approach)
}
