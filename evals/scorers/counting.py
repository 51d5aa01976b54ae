"""Counting: the number of instances after suppression, compared with the target count."""

import numpy as np

from evals.benchmark_types import Figures
from evals.intervals import Draws
from evals.samples import Detection, PhrasePrediction, PhraseSample
from sam3model.metrics.count_accuracy import Counting
from sam3model.metrics.overlap import FloatArray, rle_iou

MAX_OVERLAP = 0.5
"""Maximum intersection over the smaller area; above it the mask with the lower score is dropped (SAM 3 paper)."""


class CountingScorer:
    """Accuracy and mean absolute error."""

    def __init__(self) -> None:
        self._metric = Counting()

    def update(self, sample: PhraseSample[int], prediction: PhrasePrediction) -> dict[str, float]:
        """Add one image; returns both counts."""
        found = count(prediction.detections[0])
        self._metric.update(sample.key, found, sample.target)
        return {"count": found, "target count": sample.target}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """Accuracy and MAE."""
        predicted, target = np.array(list(self._metric.samples.values()), np.float64).T
        keys, error = list(self._metric.samples), np.abs(predicted - target)
        return {"accuracy": 100 * draws.mean(keys, error == 0), "MAE": draws.mean(keys, error)}

    def compute(self) -> Figures:
        """Accuracy in percent, MAE in instances, and the number of images."""
        result = self._metric.compute()
        return {"accuracy": 100 * result.accuracy, "MAE": result.mae, "images": result.samples}


def count(detections: tuple[Detection, ...]) -> int:
    """Number of detections after greedy suppression by intersection over minimum."""
    ranked = sorted(detections, key=lambda detection: -detection.score)
    masks = [detection.mask for detection in ranked]
    overlap = rle_iou(masks, masks, [True] * len(masks))  # intersection over the area of the row's mask
    duplicate = np.maximum(overlap, overlap.T) > MAX_OVERLAP
    kept: list[int] = []
    for i in range(len(masks)):
        if not duplicate[i, kept].any():
            kept.append(i)
    return len(kept)
