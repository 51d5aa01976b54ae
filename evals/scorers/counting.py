"""Counting: how many instances are left after suppression, and whether that is the number."""

import numpy as np

from evals.registry import Detection, Figures, Found, PhraseSample
from sam3model.errors import MetricError
from sam3model.metrics.overlap import rle_iou

SAME_THING = 0.5
"""Of two masks with more than this intersection over the smaller area, the weaker one is dropped (SAM 3 paper)."""


class CountingScorer:
    """Accuracy and mean absolute error."""

    def __init__(self) -> None:
        self._errors: list[int] = []

    def update(self, sample: PhraseSample[int], prediction: Found) -> None:
        """Add one picture."""
        self._errors.append(abs(count(prediction.detections[0]) - sample.truth))

    def compute(self) -> Figures:
        """Accuracy in percent, MAE in things."""
        if not self._errors:
            raise MetricError("no picture to count in")
        errors = np.array(self._errors)
        return {"accuracy": 100 * float((errors == 0).mean()), "MAE": float(errors.mean()), "pictures": len(errors)}


def count(detections: tuple[Detection, ...]) -> int:
    """Number of detections after greedy suppression by intersection over minimum."""
    ranked = sorted(detections, key=lambda detection: -detection.score)
    masks = [detection.mask for detection in ranked]
    share = rle_iou(masks, masks, [True] * len(masks))  # intersection over the area of the row
    same = np.maximum(share, share.T) > SAME_THING
    kept: list[int] = []
    for i in range(len(masks)):
        if not same[i, kept].any():
            kept.append(i)
    return len(kept)
