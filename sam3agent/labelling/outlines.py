"""Masks as polygons, for tools that have no run-length codes."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Mask

TOLERANCE = 0.5
"""Maximum distance in pixels between an outline and its polygon."""

SMALL = 24
"""Outlines with at most so many edges keep their corners: cutting them off would lose a part of the mask."""

STRAIGHT = 3
"""Number of pixels from which a side is straight."""

Ring = NDArray[np.float64]
"""Points (n, 2) xy in pixels, in order; the last is joined to the first."""


def polygon_of(mask: Mask) -> Ring:
    """One polygon (n, 2) around a mask, xy in pixels, at least three points.

    Parts and holes are joined by bridges without width, so that any filling rule gives the mask.
    """
    padded = np.pad(mask.crop, 1)
    rings = [_simplified(_smooth(ring)) for ring in _rings(padded)]
    joined = rings[0]
    for ring in rings[1:]:
        joined = _bridged(joined, ring)
    return joined - 1.0 + (mask.x, mask.y)


def _rings(inside: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """The pixel borders of a mask with an empty rim, as corners (n, 2) xy; holes run the other way round.

    Each step is one pixel long. Pixels that touch at a corner only are apart.
    """
    following = _edges(inside)
    while following:
        start = point = next(iter(following))
        ring, heading = [start], (0, 0)
        while True:
            choices = following[point]
            step = choices[0] if len(choices) == 1 else _right_turn(heading, choices)
            choices.remove(step)
            if not choices:
                del following[point]
            heading, point = step, (point[0] + step[0], point[1] + step[1])
            if point == start:
                break
            ring.append(point)
        yield np.array(ring)


def _edges(inside: NDArray[np.bool_]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner, the steps along borders with the mask on the right hand (y points down)."""
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    sides = (
        (inside[1:-1, 1:-1] & ~inside[:-2, 1:-1], (0, 0), (1, 0)),  # above it is outside: go right along the top
        (inside[1:-1, 1:-1] & ~inside[1:-1, 2:], (1, 0), (0, 1)),
        (inside[1:-1, 1:-1] & ~inside[2:, 1:-1], (1, 1), (-1, 0)),
        (inside[1:-1, 1:-1] & ~inside[1:-1, :-2], (0, 1), (0, -1)),
    )
    for border, (dx, dy), step in sides:
        rows, columns = np.nonzero(border)
        for x, y in zip((columns + 1 + dx).tolist(), (rows + 1 + dy).tolist(), strict=True):
            following.setdefault((x, y), []).append(step)
    return following


def _right_turn(heading: tuple[int, int], choices: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The step to the right, which stays at the same pixel; the first if there is none."""
    right = (-heading[1], heading[0])
    return right if right in choices else choices[0]


def _smooth(ring: NDArray[np.int64]) -> Ring:
    """Through the middles of the pixel borders, so that slanted sides are straight, and corners of straight sides.

    Small rings stay as they are.
    """
    points = ring.astype(np.float64)
    if len(points) <= SMALL:
        return points
    middles = (points + np.roll(points, -1, axis=0)) / 2
    both = np.stack([points, middles], axis=1)
    kept = np.stack([_square_corners(ring), np.ones(len(ring), bool)], axis=1)
    return both[kept]


def _square_corners(ring: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which points (n,) of a ring are between two straight sides, not between the steps of a slanted one."""
    steps = np.roll(ring, -1, axis=0) - ring
    turns = np.flatnonzero((steps != np.roll(steps, 1, axis=0)).any(axis=1))
    lengths = np.diff(turns, append=turns[0] + len(ring))
    corners = np.zeros(len(ring), bool)
    corners[turns[np.minimum(lengths, np.roll(lengths, 1)) >= STRAIGHT]] = True
    return corners


def _simplified(ring: Ring) -> Ring:
    """The ring with the fewest points that Douglas and Peucker's method keeps within the tolerance."""
    tolerance = TOLERANCE if len(ring) > SMALL else 1e-9
    far = int(((ring - ring[0]) ** 2).sum(1).argmax())
    closed = np.concatenate([ring, ring[:1]])
    kept = np.zeros(len(closed), bool)
    kept[[0, far]] = True
    spans = [(0, far), (far, len(ring))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        chord = closed[last] - closed[first]
        offsets = closed[first + 1 : last] - closed[first]
        length = float(np.hypot(*chord))
        if length:
            distances = np.abs(chord[0] * offsets[:, 1] - chord[1] * offsets[:, 0]) / length
        else:
            distances = np.hypot(offsets[:, 0], offsets[:, 1])
        worst = int(distances.argmax())
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    simple = ring[kept[:-1]]
    return simple if len(simple) >= 3 else ring


def _bridged(a: Ring, b: Ring) -> Ring:
    """Two rings as one, joined where their points are nearest."""
    squares = ((a[:, None] - b[None]) ** 2).sum(2)
    i, j = divmod(int(squares.argmin()), len(b))
    around = np.roll(b, -j, axis=0)
    return np.concatenate([a[: i + 1], around, around[:1], a[i:]])
