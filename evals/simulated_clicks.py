"""Where a careful user would click, as in the SAM papers: in the middle of the object, then of the largest error."""

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Mask = NDArray[np.bool_]


def middle(mask: Mask) -> Point:
    """x and y of the pixel of a mask (H, W) that is farthest from its border.

    The border of the image counts as border. Of several such pixels, the first one counts.
    """
    return _deepest(mask)[1]


def next_click(target: Mask, predicted: Mask) -> tuple[Point, int] | None:
    """The next click on an object, and its label; None if the prediction is perfect.

    The click is in the middle of the largest error region, the one that holds the largest circle: 1 if the region is
    missing, 0 if it is too much. target, predicted: (H, W) bool.
    """
    missing, excess = target & ~predicted, predicted & ~target
    if not missing.any() and not excess.any():
        return None
    (deep, inside), (other, outside) = _deepest(missing), _deepest(excess)
    return (inside, 1) if deep >= other else (outside, 0)


def _deepest(mask: Mask) -> tuple[float, Point]:
    """The largest distance of a pixel of the mask from its border, 0 without pixels, and its x and y."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return 0.0, (0.0, 0.0)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = rows[0], columns[0]
    cut = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    depth = np.asarray(distance_transform_edt(np.pad(cut, 1)))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return float(depth[y, x]), (float(left + x), float(top + y))
