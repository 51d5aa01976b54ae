"""Interactive segmentation: IoU of objects after a number of clicks."""

import math
from collections import defaultdict

import numpy as np

from evals.benchmark_types import Figures
from evals.intervals import Draws
from evals.samples import ClickPrediction, ClickSample
from sam3model.errors import MetricError
from sam3model.metrics.overlap import FloatArray, rle_iou

LEVELS = (0.8, 0.9)
"""IoU from which on a mask counts as usable, and as good."""


class ClickScorer:
    """The mean IoU over all objects of all images, and the fraction of objects with an IoU of at least 0.8 and 0.9."""

    def __init__(self) -> None:
        self._ious: dict[str, list[float]] = defaultdict(list)
        self._images = 0
        self._keys: list[str] = []

    def update(self, sample: ClickSample, prediction: ClickPrediction) -> dict[str, float]:
        """Add the objects of an image; returns their mean IoU after each prompt.

        Raises `MetricError` if masks are missing or have another size.
        """
        if len(prediction.masks) != len(sample.masks):
            raise MetricError(f"{len(sample.masks)} objects but predictions for {len(prediction.masks)}")
        rows = [rle_iou(masks, [target])[:, 0] for target, masks in zip(sample.masks, prediction.masks, strict=True)]
        for row in rows:
            for prompt, iou in zip(prediction.prompts, row.tolist(), strict=True):
                self._ious[prompt].append(iou)
        self._images += 1
        self._keys += [sample.key] * len(rows)
        means = np.mean(rows, 0).tolist() if rows else [math.nan] * len(prediction.prompts)
        return {f"IoU {prompt}": mean for prompt, mean in zip(prediction.prompts, means, strict=True)}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """All figures; whole images are drawn."""
        ious = {prompt: np.array(values) for prompt, values in self._ious.items()}
        figures = {f"IoU {prompt}": 100 * draws.mean(self._keys, own) for prompt, own in ious.items()}
        for level in LEVELS:
            counts = {f"IoU>={level} {prompt}": own >= level for prompt, own in ious.items()}
            figures |= {name: 100 * draws.mean(self._keys, reached) for name, reached in counts.items()}
        return figures

    def compute(self) -> Figures:
        """Percentages per prompt, and the numbers of objects and images."""
        if not self._ious:
            raise MetricError("no objects to score")
        ious = {prompt: np.array(values) for prompt, values in self._ious.items()}
        figures: dict[str, float] = {f"IoU {prompt}": 100 * float(own.mean()) for prompt, own in ious.items()}
        for level in LEVELS:
            figures |= {f"IoU>={level} {prompt}": 100 * float((own >= level).mean()) for prompt, own in ious.items()}
        return figures | {"objects": len(next(iter(ious.values()))), "images": self._images}
