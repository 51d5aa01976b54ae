"""gIoU and cIoU of answers. The mask of an answer is the union of the masks that the agent selected."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from evals.benchmark_types import Figures
from evals.intervals import Draws, divide
from evals.samples import QuestionPrediction, QuestionSample, Rle
from sam3model.metrics.mask_iou import MaskOverlap, ReasoningIoU, ReferringIoU, reasoning_iou, referring_iou
from sam3model.metrics.overlap import FloatArray, as_rle, coco_mask

UNANSWERED = ("exhausted", "not_understood")
"""Statuses of questions that were not answered, not even with "nothing"."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskTarget:
    """Target of a question. mask: union of all target masks, empty without a target; ignore: pixels not scored."""

    mask: Rle
    kind: str = ""
    ignore: Rle | None = None


def union(masks: list[Rle], size: tuple[int, int]) -> Rle:
    """Union of masks; without masks, the empty mask of `size` (height, width)."""
    if not masks:
        return as_rle(np.zeros(size, bool))
    return coco_mask.merge([dict(mask) for mask in masks])


def answer_mask(prediction: QuestionPrediction, target: Rle | None = None) -> Rle:
    """Union of the masks of an answer.

    A question that ended as `UNANSWERED` without a mask must not be right where nothing is the answer. There (`target`
    has no pixels) it counts as if one pixel had been marked: IoU 0, and hardly an effect on cIoU.
    """
    detections = prediction.detections
    unanswered = prediction.status in UNANSWERED and not detections
    if unanswered and target is not None and not coco_mask.area(dict(target)):
        marked = np.zeros(prediction.size, bool)
        marked[0, 0] = True
        return as_rle(marked)
    return union([detection.mask for detection in detections], prediction.size)


def resample_iou(
    overlaps: Mapping[str, MaskOverlap], draws: Draws, iou: Callable[[FloatArray], FloatArray]
) -> dict[str, FloatArray]:
    """gIoU and cIoU in percent under each resample. overlaps: by the key of the sample; iou: per sample."""
    keys, counts = list(overlaps), np.array(list(overlaps.values()), np.float64).reshape(-1, 4)
    drawn = draws.of(keys)
    return {
        "gIoU": 100 * draws.mean(keys, iou(counts)),
        "cIoU": 100 * divide(drawn @ counts[:, 0], drawn @ counts[:, 1]),
    }


class ReasoningScorer:
    """gIoU and cIoU of ReasonSeg, over all questions and by kind (short phrase or long sentence)."""

    def __init__(self) -> None:
        self._kinds: dict[str, ReasoningIoU] = {}

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one answer; returns its IoU."""
        metric = self._kinds.setdefault(sample.target.kind, ReasoningIoU())
        metric.update(sample.key, answer_mask(prediction, sample.target.mask), sample.target.mask, sample.target.ignore)
        return {"IoU": float(reasoning_iou(metric.samples[sample.key])[0])}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """gIoU and cIoU, over all questions and by kind."""
        overlaps = {key: one for metric in self._kinds.values() for key, one in metric.samples.items()}
        figures = resample_iou(overlaps, draws, reasoning_iou)
        for kind, metric in self._kinds.items():
            own = resample_iou(metric.samples, draws, reasoning_iou)
            figures |= {f"{name} {kind}": values for name, values in own.items()}
        return figures

    def compute(self) -> Figures:
        """Percentages, and the number of questions."""
        total = ReasoningIoU()
        for metric in self._kinds.values():
            total.merge(metric)
        result = total.compute()
        figures = {"gIoU": 100 * result.giou, "cIoU": 100 * result.ciou, "questions": result.samples}
        for kind, part in ((kind, metric.compute()) for kind, metric in sorted(self._kinds.items())):
            figures |= {f"gIoU {kind}": 100 * part.giou, f"cIoU {kind}": 100 * part.ciou}
        return figures


class ReferringScorer:
    """mIoU (gIoU), oIoU (cIoU), Pr@ and, if some samples have no target, N_acc and T_acc."""

    def __init__(self) -> None:
        self._metric = ReferringIoU()

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one answer; returns its IoU."""
        self._metric.update(sample.key, answer_mask(prediction, sample.target.mask), sample.target.mask)
        return {"IoU": float(referring_iou(self._metric.samples[sample.key])[0])}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """All figures."""
        keys, counts = list(self._metric.samples), np.array(list(self._metric.samples.values()), np.float64)
        iou, has_target, has_prediction = referring_iou(counts), counts[:, 2] > 0, counts[:, 3] > 0
        figures = resample_iou(self._metric.samples, draws, referring_iou)
        figures["N_acc"] = 100 * draws.mean(keys, ~has_prediction, ~has_target)
        figures["T_acc"] = 100 * draws.mean(keys, has_prediction, has_target)
        levels = self._metric.precision_at
        return figures | {f"Pr@{level}": 100 * draws.mean(keys, iou >= level, has_target) for level in levels}

    def compute(self) -> Figures:
        """Percentages, and the number of questions."""
        result = self._metric.compute()
        figures = {"gIoU": 100 * result.giou, "cIoU": 100 * result.ciou}
        if not math.isnan(result.n_acc):
            figures |= {"N_acc": 100 * result.n_acc, "T_acc": 100 * result.t_acc}
        figures |= {f"Pr@{level}": 100 * fraction for level, fraction in result.precision_at.items()}
        return figures | {"questions": result.samples}


class PlaygroundScorer:
    """Generalised referring, gIoU per kind, and the percentage of unanswerable questions reported as no match."""

    def __init__(self) -> None:
        self._all = ReferringIoU()
        self._kinds: dict[str, ReferringIoU] = {}
        self._reported: dict[str, bool] = {}

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one answer; returns its IoU."""
        mask, target = answer_mask(prediction, sample.target.mask), sample.target
        self._all.update(sample.key, mask, target.mask)
        self._kinds.setdefault(target.kind, ReferringIoU()).update(sample.key, mask, target.mask)
        if target.kind.startswith("none:"):
            self._reported[sample.key] = prediction.status == "no_match"
        return {"IoU": float(referring_iou(self._all.samples[sample.key])[0])}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """All figures."""
        kinds = {kind: metric.samples for kind, metric in self._kinds.items()}
        answerable = {k: one for kind, own in kinds.items() if not kind.startswith("none:") for k, one in own.items()}
        figures = resample_iou(self._all.samples, draws, referring_iou)
        figures["gIoU answerable"] = resample_iou(answerable, draws, referring_iou)["gIoU"]
        figures["no match reported"] = 100 * draws.mean(list(self._reported), list(self._reported.values()))
        own = {f"gIoU {kind}": resample_iou(one, draws, referring_iou)["gIoU"] for kind, one in kinds.items()}
        return figures | own

    def compute(self) -> Figures:
        """gIoU over all questions, over answerable ones and per kind; percentage of no match reported; counts."""
        answerable = ReferringIoU()
        for kind, metric in self._kinds.items():
            if not kind.startswith("none:"):
                answerable.merge(metric)
        total = self._all.compute()
        figures = {"gIoU": 100 * total.giou}
        if answerable.samples:
            figures |= {"gIoU answerable": 100 * answerable.compute().giou}
        if self._reported:
            figures |= {"no match reported": 100 * sum(self._reported.values()) / len(self._reported)}
        figures |= {"cIoU": 100 * total.ciou, "questions": total.samples, "unanswerable": len(self._reported)}
        return figures | {f"gIoU {kind}": 100 * metric.compute().giou for kind, metric in sorted(self._kinds.items())}
