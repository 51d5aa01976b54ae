"""Detections at the border of the image."""

import numpy as np
from numpy.typing import NDArray


def away_from_border(boxes: NDArray[np.floating], margin: float) -> NDArray[np.bool_]:
    """Which boxes (n, 4), xyxy as fractions of the image, have their centre more than `margin` from every side.

    A margin of 0 turns the rule off.

    >>> away_from_border(np.array([[0.0, 0.4, 0.04, 0.6], [0.0, 0.4, 0.2, 0.6]]), 0.025).tolist()
    [False, True]
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if margin <= 0:
        return np.ones(len(boxes), bool)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (centre > np.float32(margin)) & (centre < np.float32(1 - margin))
    return inside[:, 0] & inside[:, 1]
