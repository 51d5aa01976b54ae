"""Identity switches: how often an object is found by another track than before."""

import numpy as np
from numpy.typing import NDArray

from sam3model.metrics.assignment import best_pairs
from sam3model.metrics.overlap import FloatArray

MIN_IOU = 0.5


def identity_switches(iou: FloatArray) -> int:
    """The number of identity switches of a clip, as in CLEAR MOT.

    On every frame, objects and tracks are matched one to one, only where their IoU is at least 0.5. An object first
    keeps the track of its last match; the others are assigned so that their total IoU is largest. A switch is counted
    on every frame on which an object is matched to another track than at its last match, however long ago that was.
    Objects that are not found are no switches: they lower the other figures.

    iou: (T, objects, tracks), 0 where either is absent.

    >>> one, two = [1.0, 0.0], [0.0, 1.0]
    >>> identity_switches(np.array([[one, two], [two, one], [two, one]]))  # two tracks swap their objects once
    2
    """
    last: NDArray[np.intp] = np.full(iou.shape[1], -1)
    switches = 0
    for frame in iou:
        for one, track in _matches(frame, last):
            switches += last[one] not in (-1, track)
            last[one] = track
    return int(switches)


def _matches(iou: FloatArray, last: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Matched objects and tracks of a frame."""
    value = np.where(iou >= MIN_IOU, iou, 0.0)
    known = np.flatnonzero(last >= 0)
    value[known, last[known]] *= 1000  # more than all other pairs together
    rows, columns = best_pairs(value)
    return [(g, p) for g, p in zip(rows.tolist(), columns.tolist(), strict=True) if value[g, p] > 0]
