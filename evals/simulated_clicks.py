"""Where a careful user would click, as in the SAM papers: in the middle of the object, then of the largest error."""

import numpy as np
from numpy.typing import NDArray

from sam3model.ops.masks import deepest_pixel

Point = tuple[float, float]
Mask = NDArray[np.bool_]


def middle(mask: Mask) -> Point:
    """x and y of the pixel of a mask (H, W) that is farthest from its border.

    The border of the image counts as border. Of several such pixels, the first one counts.
    """
    x, y, _ = deepest_pixel(mask)
    return float(x), float(y)


def next_click(target: Mask, predicted: Mask) -> tuple[Point, int] | None:
    """The next click on an object, and its label; None if the prediction is perfect.

    The click is in the middle of the largest error region, the one that holds the largest circle: 1 if the region is
    missing, 0 if it is too much. target, predicted: (H, W) bool.
    """
    missing, excess = target & ~predicted, predicted & ~target
    if not missing.any() and not excess.any():
        return None
    x, y, deep = deepest_pixel(missing)
    other_x, other_y, other = deepest_pixel(excess)
    return ((float(x), float(y)), 1) if deep >= other else ((float(other_x), float(other_y)), 0)
