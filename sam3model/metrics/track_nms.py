"""Greedy suppression of overlapping box tracks, or of boxes per frame, as in the SA-Co/VEval evaluators."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3model.errors import MetricError
from sam3model.metrics.average_precision import strongest
from sam3model.metrics.overlap import finite_scores
from sam3model.metrics.video_tracks import box_overlap

BoolArray = NDArray[np.bool_]


def suppress_tracks(boxes: ArrayLike, scores: ArrayLike, threshold: float = 0.5, per_frame: bool = False) -> BoolArray:
    """Return which boxes are kept, (N, T) bool.

    boxes: (N, T, 4) xywh, zeros if absent. scores: (N,); the higher score wins, the earlier track on ties. A track is
    suppressed by a kept one if their IoU, summed over the frames with both boxes, in float32, is at least `threshold`.
    per_frame: treat each frame separately. Raises `MetricError` if shapes do not match.

    >>> suppress_tracks([[[0, 0, 2, 2]], [[0, 0, 2, 2]]], [0.1, 0.9])[:, 0].tolist()
    [False, True]
    """
    tracks, ranks = np.asarray(boxes, np.float64), finite_scores(scores)
    if tracks.ndim != 3 or tracks.shape[::2] != (len(ranks), 4):
        raise MetricError(f"boxes (N, T, 4) and scores (N,) needed, got {tracks.shape} and {ranks.shape}")
    present = (tracks != 0).any(2)
    kept = present.copy()
    common, union = box_overlap(tracks, tracks)  # (T, N, N)
    both = present.T[:, :, None] & present.T[:, None]
    common, union = np.where(both, common, 0), np.where(both, union, 0)
    if not per_frame:
        common, union = common.sum(0, keepdims=True), union.sum(0, keepdims=True)
    clash = np.divide(common, union, out=np.zeros_like(common), where=union > 0) >= threshold
    order = strongest(ranks, len(ranks))
    for place, i in enumerate(order):
        weaker = order[place + 1 :]
        alive = kept[i] if per_frame else kept[i].any(keepdims=True)  # (T,) or (1,)
        kept[weaker] &= ~(clash[:, i, weaker] & alive[:, None]).T
    return kept
