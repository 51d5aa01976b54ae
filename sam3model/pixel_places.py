"""Points and boxes in pixels of an image or a frame: one rule for where they may be, without torch."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3model.errors import InputError

Size = tuple[int, int]
"""Width and height in pixels."""


def check_points(points: ArrayLike, size: Size) -> None:
    """Raise `InputError` unless all points (..., 2), xy in pixels, are inside an image of this size."""
    places = np.asarray(points, np.float32).reshape(-1, 2)
    outside = ((places < 0) | (places >= np.asarray(size, np.float32))).any(axis=1)
    if outside.any():
        x, y = places[outside][0].tolist()
        raise InputError(f"the point {x:g},{y:g} is outside the image of {size[0]}x{size[1]} pixels")


def clip_boxes(boxes: ArrayLike, size: Size) -> NDArray[np.float32]:
    """Boxes (n, 4), xyxy in pixels, cut off at the border of an image of this size.

    Raises:
        InputError: a box without an area, or one that is completely outside.
    """
    given = np.asarray(boxes, np.float32).reshape(-1, 4)
    if np.any(given[:, 2:] <= given[:, :2]):
        raise InputError("a box must be x0,y0,x1,y1 with x1 > x0 and y1 > y0")
    inside = np.clip(given, 0, np.asarray(size * 2, np.float32))
    outside = (inside[:, 2:] <= inside[:, :2]).any(axis=1)
    if outside.any():
        sides = ",".join(f"{side:g}" for side in given[outside][0].tolist())
        raise InputError(f"the box {sides} is outside the image of {size[0]}x{size[1]} pixels")
    return inside
