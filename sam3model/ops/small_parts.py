"""Small connected parts of masks."""

import numpy as np
from numpy.typing import NDArray

_EIGHT_CONNECTED = np.ones((3, 3), int)


def small_parts(mask: NDArray[np.bool_], area: int) -> NDArray[np.bool_]:
    """The pixels of the 8-connected parts of a mask (H, W) that have at most `area` pixels each."""
    if not area:
        return np.zeros_like(mask)
    from scipy import ndimage  # for clips and clicks only, and slow to import

    labels: NDArray[np.int32] = np.empty(mask.shape, np.int32)
    ndimage.label(mask, _EIGHT_CONNECTED, output=labels)
    small = np.bincount(labels.ravel()) <= area
    small[0] = False  # label 0 is what lies outside the mask
    return small[labels]
