"""The outline of a mask as one polygon that covers exactly its pixels."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Mask

Point = tuple[int, int]


def outline(mask: Mask) -> NDArray[np.int64]:
    """Corners (n, 2) of a polygon around the pixels of a mask, xy in pixels.

    Parts and holes are joined to it by cuts without width, so that the polygon has the area of the mask.
    """
    loops = sorted(_loops(mask.crop), key=lambda loop: -abs(signed_area(loop)))
    polygon = loops[0]
    for loop in loops[1:]:
        gaps = ((polygon[:, None] - loop[None]) ** 2).sum(-1) if len(polygon) * len(loop) < 1 << 22 else None
        i, j = (0, 0) if gaps is None else divmod(int(gaps.argmin()), len(loop))
        polygon = np.concatenate([polygon[: i + 1], loop[j:], loop[: j + 1], polygon[i:]])
    return polygon + np.array([mask.x, mask.y])


def signed_area(polygon: NDArray[np.int64]) -> float:
    """Area of a polygon (n, 2) in pixels: positive clockwise on the screen, so holes count as negative."""
    x, y = polygon.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _loops(inside: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The closed outlines of a mask (H, W) along the edges of its pixels, without points on straight lines."""
    nexts: dict[Point, list[Point]] = defaultdict(list)
    around = np.pad(inside, 1)
    # For each side of a pixel: the neighbour beyond it, and where its edge starts and ends (the pixel is on the right).
    for (dy, dx), start, end in (
        ((-1, 0), (0, 0), (1, 0)),
        ((0, 1), (1, 0), (1, 1)),
        ((1, 0), (1, 1), (0, 1)),
        ((0, -1), (0, 1), (0, 0)),
    ):
        height, width = inside.shape
        beyond = around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        for y, x in np.argwhere(inside & ~beyond).tolist():
            nexts[x + start[0], y + start[1]].append((x + end[0], y + end[1]))
    loops = list[NDArray[np.int64]]()
    while nexts:
        first = next(iter(nexts))
        at, loop, before = first, list[Point](), None
        while True:
            to = _turned(nexts, at, before)
            if before is None or (to[0] - at[0], to[1] - at[1]) != (at[0] - before[0], at[1] - before[1]):
                loop.append(at)
            before, at = at, to
            if at == first:
                break
        loops.append(np.array(loop, np.int64))
    return loops


def _turned(nexts: dict[Point, list[Point]], at: Point, before: Point | None) -> Point:
    """Take the next point from the table; where two pixels touch by a corner, turn right and stay with the same one."""
    ways = nexts[at]
    if len(ways) > 1 and before is not None:
        dx, dy = at[0] - before[0], at[1] - before[1]
        ways.sort(key=lambda to: (to[0] - at[0], to[1] - at[1]) != (-dy, dx), reverse=True)
    to = ways.pop()
    if not ways:
        del nexts[at]
    return to
