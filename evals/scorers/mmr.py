"""MMR: IoU of every target with the selected mask assigned to it."""

import math

import numpy as np

from evals.benchmark_types import Figures
from evals.intervals import Draws, divide
from evals.samples import QuestionPrediction, QuestionSample, Rle
from evals.scorers.referring import answer_mask, resample_iou, union
from sam3model.metrics.assignment import best_pairs
from sam3model.metrics.mask_iou import ReasoningIoU, reasoning_iou
from sam3model.metrics.overlap import FloatArray, rle_iou


class MmrScorer:
    """gIoU and cIoU per target mask, and gIoU of the unions.

    The official models name the target of each mask; the agent does not, so masks are assigned to targets one to one
    with the largest total IoU. A target without a mask counts 0; surplus masks only count in the union.
    """

    def __init__(self) -> None:
        self._targets = ReasoningIoU()
        self._unions = ReasoningIoU()

    def update(self, sample: QuestionSample[tuple[Rle, ...]], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one answer; returns the mean IoU of its targets and the IoU of the unions."""
        targets, masks = sample.target, [d.mask for d in prediction.detections]
        rows, columns = best_pairs(rle_iou(targets, masks)) if targets and masks else ((), ())
        chosen = dict(zip(map(int, rows), map(int, columns), strict=True))
        empty = union([], prediction.size)
        for number, target in enumerate(targets):
            self._targets.update((sample.key, number), masks[chosen[number]] if number in chosen else empty, target)
        self._unions.update(sample.key, answer_mask(prediction), union(list(targets), prediction.size))
        own = reasoning_iou(np.array([self._targets.samples[sample.key, i] for i in range(len(targets))]))
        whole = reasoning_iou(self._unions.samples[sample.key])
        return {"IoU": float(own.mean()) if len(own) else math.nan, "union IoU": float(whole[0])}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """All figures."""
        keys, counts = [key for key, _ in self._targets.samples], np.array(list(self._targets.samples.values()))
        drawn = draws.of(keys)
        return {
            "gIoU": 100 * draws.mean(keys, reasoning_iou(counts)),
            "cIoU": 100 * divide(drawn @ counts[:, 0], drawn @ counts[:, 1]),
            "union gIoU": resample_iou(self._unions.samples, draws, reasoning_iou)["gIoU"],
        }

    def compute(self) -> Figures:
        """Percentages, and the numbers of questions and target masks."""
        each, whole = self._targets.compute(), self._unions.compute()
        figures = {"gIoU": 100 * each.giou, "cIoU": 100 * each.ciou, "union gIoU": 100 * whole.giou}
        return {**figures, "questions": whole.samples, "masks": each.samples}
