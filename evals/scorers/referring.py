"""gIoU and cIoU of answers. The mask of an answer is the union of the masks that the agent selected."""

import math
from dataclasses import dataclass

import numpy as np

from evals.benchmark_types import Figures
from evals.samples import QuestionPrediction, QuestionSample, Rle
from sam3model.metrics.mask_iou import ReasoningIoU, ReferringIoU
from sam3model.metrics.overlap import as_rle, coco_mask


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


def answer_mask(prediction: QuestionPrediction) -> Rle:
    """Union of the masks of an answer."""
    return union([detection.mask for detection in prediction.detections], prediction.size)


class ReasoningScorer:
    """gIoU and cIoU of ReasonSeg, over all questions and by kind (short phrase or long sentence)."""

    def __init__(self) -> None:
        self._kinds: dict[str, ReasoningIoU] = {}

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> None:
        """Add one answer."""
        metric = self._kinds.setdefault(sample.target.kind, ReasoningIoU())
        metric.update(sample.key, answer_mask(prediction), sample.target.mask, sample.target.ignore)

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

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> None:
        """Add one answer."""
        self._metric.update(sample.key, answer_mask(prediction), sample.target.mask)

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
        self._reported: list[bool] = []

    def update(self, sample: QuestionSample[MaskTarget], prediction: QuestionPrediction) -> None:
        """Add one answer."""
        mask, target = answer_mask(prediction), sample.target
        self._all.update(sample.key, mask, target.mask)
        self._kinds.setdefault(target.kind, ReferringIoU()).update(sample.key, mask, target.mask)
        if target.kind.startswith("none:"):
            self._reported.append(prediction.status == "no_match")

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
            figures |= {"no match reported": 100 * sum(self._reported) / len(self._reported)}
        figures |= {"cIoU": 100 * total.ciou, "questions": total.samples, "unanswerable": len(self._reported)}
        return figures | {f"gIoU {kind}": 100 * metric.compute().giou for kind, metric in sorted(self._kinds.items())}
