"""Order, size, distance and occlusion of objects; comparisons without a clear margin return None."""

from collections.abc import Callable, Sequence
from math import hypot

from sam3model.playground.scene import Scene, SceneObject

MARGIN = 0.05
"""Minimum gap between centres, as a fraction of the image side."""
AREA_RATIO = 1.35
"""Minimum ratio between two compared sizes."""
DISTANCE_RATIO = 1.3
"""Minimum ratio between two compared distances."""

Objects = Sequence[SceneObject]
SIDES = {"left": (0, 1), "top": (1, 1), "right": (0, -1), "bottom": (1, -1)}
"""Axis of each side, and the sign of the direction away from it."""


def first(scene: Scene, objects: Objects, side: str, count: int) -> tuple[int, ...] | None:
    """Ids of the `count` objects nearest to a side of the image; None unless centres and edges agree, with a gap.

    If there are at most `count` objects, all of them are returned.
    """
    if len(objects) <= count:
        return _ids(objects)
    axis, sign = SIDES[side]
    reach = scene.image.shape[1 - axis]
    by_centre = sorted(objects, key=lambda obj: sign * obj.center[axis])
    by_edge = sorted(objects, key=lambda obj: sign * obj.box[axis if sign > 0 else axis + 2])
    gap = sign * (by_centre[count].center[axis] - by_centre[count - 1].center[axis])
    chosen = _ids(by_centre[:count])
    return chosen if gap >= MARGIN * reach and chosen == _ids(by_edge[:count]) else None


def nth(scene: Scene, objects: Objects, side: str, number: int) -> tuple[int, ...] | None:
    """Id of the object that is `number`th from a side; None if that is not clear."""
    upto, before = first(scene, objects, side, number), first(scene, objects, side, number - 1) if number > 1 else ()
    if upto is None or before is None or len(upto) != number:
        return None
    return tuple(i for i in upto if i not in before)


def largest(objects: Objects, count: int, *, smallest: bool = False) -> tuple[int, ...] | None:
    """Ids of the `count` largest (smallest) objects by visible area; None without a clear ratio.

    The full silhouettes must give the same answer, so that a partly hidden object does not count as small.
    """
    sizes: tuple[Callable[[SceneObject], float], ...] = (
        lambda obj: obj.area,
        lambda obj: obj.area / obj.visible,
    )
    answers = set()
    for size in sizes:
        order = sorted(objects, key=size, reverse=not smallest)
        ratio = size(order[count]) / size(order[count - 1])
        if max(ratio, 1 / ratio) < AREA_RATIO:
            return None
        answers.add(_ids(order[:count]))
    return answers.pop() if len(answers) == 1 else None


def half(scene: Scene, objects: Objects, side: str) -> tuple[int, ...] | None:
    """Ids of the objects in one half of the image; None if any is too close to the middle line."""
    axis, sign = SIDES[side]
    reach = scene.image.shape[1 - axis]
    chosen = []
    for obj in objects:
        offset = sign * (reach / 2 - obj.center[axis])
        if abs(offset) < max(0.06 * reach, 0.25 * (obj.box[axis + 2] - obj.box[axis])):
            return None
        if offset > 0:
            chosen.append(obj)
    return _ids(chosen)


def beside(objects: Objects, anchor: SceneObject, side: str) -> tuple[int, ...] | None:
    """Ids of the objects on one side of the anchor; None if the centre of any lies within the anchor's extent."""
    axis, sign = SIDES[side]
    chosen = []
    for obj in objects:
        if anchor.box[axis] <= obj.center[axis] <= anchor.box[axis + 2]:
            return None
        if sign * (anchor.center[axis] - obj.center[axis]) > 0:
            chosen.append(obj)
    return _ids(chosen)


def nearest(objects: Objects, anchor: SceneObject, *, farthest: bool = False) -> tuple[int, ...] | None:
    """Id of the object whose centre is nearest to (farthest from) the anchor's; the gaps between boxes must agree."""
    sign = -1 if farthest else 1
    order = sorted(objects, key=lambda obj: sign * distance(obj, anchor))
    far, near = sorted((distance(order[0], anchor), distance(order[1], anchor)), reverse=True)
    by_gap = min(objects, key=lambda obj: (sign * _gap(obj, anchor), sign * distance(obj, anchor)))
    clear = far >= DISTANCE_RATIO * near and far - near >= 10 and by_gap is order[0]
    return (order[0].id,) if clear else None


def behind(objects: Objects, anchor: SceneObject, *, front: bool = False) -> tuple[int, ...] | None:
    """Ids of the objects behind (in front of) the anchor; None if the box of another one touches the anchor's.

    The bottom of the hidden object must also be higher in the image than that of the object that hides it.
    """
    chosen = []
    for obj in objects:
        hider, hidden = (obj, anchor) if front else (anchor, obj)
        if hider.id in hidden.hidden_by and hidden.box[3] + 3 <= hider.box[3]:
            chosen.append(obj)
        elif _gap(obj, anchor) <= 0:
            return None
    return _ids(chosen)


def distance(a: SceneObject, b: SceneObject) -> float:
    """Distance between the centres of two boxes in pixels."""
    return hypot(a.center[0] - b.center[0], a.center[1] - b.center[1])


def _gap(a: SceneObject, b: SceneObject) -> float:
    """Distance between two boxes in pixels; zero if they touch or overlap."""
    dx = max(a.box[0] - b.box[2], b.box[0] - a.box[2], 0)
    dy = max(a.box[1] - b.box[3], b.box[1] - a.box[3], 0)
    return hypot(dx, dy)


def _ids(objects: Objects) -> tuple[int, ...]:
    return tuple(sorted(obj.id for obj in objects))
