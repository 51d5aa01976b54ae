"""Order, size, nearness and occlusion between things, each said only with a margin that two viewers would share."""

from collections.abc import Callable, Sequence
from math import hypot

from sam3model.playground.scene import Scene, SceneObject

MARGIN = 0.05
"""Least gap between centres, as a share of the picture's side."""
AREA_RATIO = 1.35
"""Least ratio between two sizes that are compared."""
DISTANCE_RATIO = 1.3
"""Least ratio between two distances that are compared."""

Things = Sequence[SceneObject]
SIDES = {"left": (0, 1), "top": (1, 1), "right": (0, -1), "bottom": (1, -1)}
"""Axis of each side, and the direction in which coordinates grow away from it."""


def first(scene: Scene, things: Things, side: str, count: int) -> tuple[int, ...] | None:
    """Ids of the `count` things nearest to a side of the picture; None unless centres and edges agree, with a gap.

    All of them are first when there are no more than `count`.
    """
    if len(things) <= count:
        return _ids(things)
    axis, sign = SIDES[side]
    reach = scene.image.shape[1 - axis]
    by_centre = sorted(things, key=lambda thing: sign * thing.center[axis])
    by_edge = sorted(things, key=lambda thing: sign * thing.box[axis if sign > 0 else axis + 2])
    gap = sign * (by_centre[count].center[axis] - by_centre[count - 1].center[axis])
    chosen = _ids(by_centre[:count])
    return chosen if gap >= MARGIN * reach and chosen == _ids(by_edge[:count]) else None


def nth(scene: Scene, things: Things, side: str, number: int) -> tuple[int, ...] | None:
    """Id of the thing that is `number`th from a side, or None where that is not clear."""
    upto, before = first(scene, things, side, number), first(scene, things, side, number - 1) if number > 1 else ()
    if upto is None or before is None or len(upto) != number:
        return None
    return tuple(i for i in upto if i not in before)


def largest(things: Things, count: int, *, smallest: bool = False) -> tuple[int, ...] | None:
    """Ids of the `count` largest (smallest) things by what is seen of them, None unless by a clear ratio.

    The whole silhouettes must agree, so that a half-hidden thing is never called small for being hidden.
    """
    sizes: tuple[Callable[[SceneObject], float], ...] = (
        lambda thing: thing.area,
        lambda thing: thing.area / thing.visible,
    )
    answers = set()
    for size in sizes:
        order = sorted(things, key=size, reverse=not smallest)
        ratio = size(order[count]) / size(order[count - 1])
        if max(ratio, 1 / ratio) < AREA_RATIO:
            return None
        answers.add(_ids(order[:count]))
    return answers.pop() if len(answers) == 1 else None


def half(scene: Scene, things: Things, side: str) -> tuple[int, ...] | None:
    """Ids of the things in one half of the picture, None if any lies too near its middle line."""
    axis, sign = SIDES[side]
    reach = scene.image.shape[1 - axis]
    chosen = []
    for thing in things:
        offset = sign * (reach / 2 - thing.center[axis])
        if abs(offset) < max(0.06 * reach, 0.25 * (thing.box[axis + 2] - thing.box[axis])):
            return None
        if offset > 0:
            chosen.append(thing)
    return _ids(chosen)


def beside(things: Things, anchor: SceneObject, side: str) -> tuple[int, ...] | None:
    """Ids of the things to one side of the anchor, None if the centre of any falls within the anchor's extent."""
    axis, sign = SIDES[side]
    chosen = []
    for thing in things:
        if anchor.box[axis] <= thing.center[axis] <= anchor.box[axis + 2]:
            return None
        if sign * (anchor.center[axis] - thing.center[axis]) > 0:
            chosen.append(thing)
    return _ids(chosen)


def nearest(things: Things, anchor: SceneObject, *, farthest: bool = False) -> tuple[int, ...] | None:
    """Id of the thing whose centre is nearest to (farthest from) the anchor's; gaps between boxes must agree."""
    sign = -1 if farthest else 1
    order = sorted(things, key=lambda thing: sign * distance(thing, anchor))
    far, near = sorted((distance(order[0], anchor), distance(order[1], anchor)), reverse=True)
    by_gap = min(things, key=lambda thing: (sign * _gap(thing, anchor), sign * distance(thing, anchor)))
    clear = far >= DISTANCE_RATIO * near and far - near >= 10 and by_gap is order[0]
    return (order[0].id,) if clear else None


def behind(things: Things, anchor: SceneObject, *, front: bool = False) -> tuple[int, ...] | None:
    """Ids of the things behind (in front of) the anchor; None if any other comes near enough to be taken for one.

    The hidden one must also end higher in the picture than the one that hides it.
    """
    chosen = []
    for thing in things:
        hider, hidden = (thing, anchor) if front else (anchor, thing)
        if hider.id in hidden.hidden_by and hidden.box[3] + 3 <= hider.box[3]:
            chosen.append(thing)
        elif _gap(thing, anchor) <= 0:
            return None
    return _ids(chosen)


def distance(a: SceneObject, b: SceneObject) -> float:
    """Pixels between the centres of two boxes."""
    return hypot(a.center[0] - b.center[0], a.center[1] - b.center[1])


def _gap(a: SceneObject, b: SceneObject) -> float:
    """Pixels between two boxes, zero where they touch or overlap."""
    dx = max(a.box[0] - b.box[2], b.box[0] - a.box[2], 0)
    dy = max(a.box[1] - b.box[3], b.box[1] - a.box[3], 0)
    return hypot(dx, dy)


def _ids(things: Things) -> tuple[int, ...]:
    return tuple(sorted(thing.id for thing in things))
