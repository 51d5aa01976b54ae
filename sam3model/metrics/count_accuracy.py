"""Accuracy of counting by segmentation (CountBench, PixMo-Count)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sam3model.errors import MetricError
from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.metric_result import MetricResult


@dataclass(frozen=True, slots=True)
class CountingResult(MetricResult):
    """accuracy: fraction of exact counts; mae: mean absolute error; rmse: root mean squared error."""

    accuracy: float
    mae: float
    rmse: float
    samples: int


class Counting(Aggregate[tuple[int, int]]):
    """Counting accuracy; picklable, shards can be merged.

    >>> metric = Counting()
    >>> metric.update("a", predicted=3, target=3)
    >>> metric.update("b", predicted=5, target=4)
    >>> metric.compute().accuracy, metric.compute().mae
    (0.5, 0.5)
    """

    def update(self, key: Any, predicted: int, target: int) -> None:
        """Add one (image, phrase) pair. Raises `MetricError` if a count is negative or the key exists."""
        if predicted < 0 or target < 0:
            raise MetricError(f"sample {key!r}: counts cannot be negative (predicted {predicted}, target {target})")
        self.add(key, (predicted, target))

    def compute(self) -> CountingResult:
        """Return the figures. Raises `MetricError` if there are no samples."""
        predicted, target = np.array(self.require_samples(), np.float64).T
        error = np.abs(predicted - target)
        return CountingResult(
            float((error == 0).mean()), float(error.mean()), float(np.sqrt((error**2).mean())), len(error)
        )
