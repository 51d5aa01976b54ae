"""IoU of one mask per sample: reasoning (ReasonSeg), referring (RefCOCO), generalised referring (gRefCOCO)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.overlap import FloatArray, Rle, as_rle, common_area, rle_areas

Mask = Rle | NDArray[np.bool_]
REASONING_EPSILON = 1e-5
PRECISION_AT = (0.5, 0.6, 0.7, 0.8, 0.9)


class MaskOverlap(NamedTuple):
    """Pixel counts of one sample, without ignored pixels."""

    intersection: int
    union: int
    target: int
    prediction: int


def mask_overlap(prediction: Mask, target: Mask, ignore: Mask | None = None) -> MaskOverlap:
    """Count pixels of two masks, each COCO RLE or a boolean array (H, W).

    ignore: pixels that are not counted. Raises `MetricError` if sizes differ.

    >>> row = lambda *bits: np.array([bits], bool)
    >>> mask_overlap(row(1, 1, 0), row(1, 0, 1), ignore=row(0, 0, 1))
    MaskOverlap(intersection=1, union=2, target=1, prediction=2)
    """
    pair = [as_rle(prediction), as_rle(target)]
    predicted, expected = rle_areas(pair).tolist()
    both = common_area(*pair)
    if ignore is not None:
        region = as_rle(ignore)
        predicted -= common_area(pair[0], region)
        expected -= common_area(pair[1], region)
        both -= common_area(*pair, region)
    return MaskOverlap(both, predicted + expected - both, expected, predicted)


def reasoning_iou(counts: ArrayLike) -> FloatArray:
    """IoU (N,) of samples as in ReasonSeg. counts: (N, 4), rows as `MaskOverlap`."""
    intersection, union, *_ = np.asarray(counts, np.float64).reshape(-1, 4).T
    return np.where(union > 0, intersection / (union + REASONING_EPSILON), 1.0)


def referring_iou(counts: ArrayLike) -> FloatArray:
    """IoU (N,) of samples as in gRefCOCO, 1 if both masks are empty. counts: (N, 4), rows as `MaskOverlap`."""
    intersection, union, target, prediction = np.asarray(counts, np.float64).reshape(-1, 4).T
    return np.where((target > 0) | (prediction > 0), intersection / np.maximum(union, 1), 1.0)


@dataclass(frozen=True, slots=True)
class ReasoningResult(MetricResult):
    """giou: mean IoU over samples; ciou: total intersection over total union."""

    giou: float
    ciou: float
    samples: int


class ReasoningIoU(Aggregate[MaskOverlap]):
    """gIoU and cIoU as in ReasonSeg: I / (U + 1e-5) per sample, 1 if both masks are empty.

    >>> metric = ReasoningIoU()
    >>> metric.update("sample", np.ones((2, 2), bool), np.eye(2, dtype=bool))
    >>> round(metric.compute().giou, 3)
    0.5
    """

    def update(self, key: Any, prediction: Mask, target: Mask, ignore: Mask | None = None) -> None:
        """Add one sample; see `mask_overlap`."""
        self.add(key, mask_overlap(prediction, target, ignore))

    def compute(self) -> ReasoningResult:
        """Return the figures. Raises `MetricError` if there are no samples."""
        counts = np.array(self.require_samples(), np.float64)
        intersection, union = counts[:, 0], counts[:, 1]
        iou = reasoning_iou(counts)
        return ReasoningResult(float(iou.mean()), ratio(intersection.sum(), union.sum()), len(counts))


@dataclass(frozen=True, slots=True)
class ReferringResult(MetricResult):
    """Figures of (generalised) referring segmentation.

    giou: mean IoU over samples (mIoU in RefCOCO). ciou: total intersection over total union (oIoU).
    n_acc: fraction of samples without a target whose prediction is empty; t_acc: fraction of samples with a target
    whose prediction is not; nan without such samples. precision_at: IoU level -> fraction of samples with a target that
    reach it.
    """

    giou: float
    ciou: float
    n_acc: float
    t_acc: float
    precision_at: dict[float, float]
    samples: int

    def summary(self) -> dict[str, float]:
        """gIoU, cIoU, N_acc, T_acc and Pr@0.5 to Pr@0.9."""
        accuracies = {"N_acc": self.n_acc, "T_acc": self.t_acc}
        precision = {f"Pr@{t}": v for t, v in self.precision_at.items()}
        return {"gIoU": self.giou, "cIoU": self.ciou, **accuracies, **precision, "samples": self.samples}


class ReferringIoU(Aggregate[MaskOverlap]):
    """Referring segmentation; an empty target mask means "no target" (gRefCOCO).

    Without a target, an empty prediction has IoU 1 and does not affect cIoU; any other has IoU 0 and adds to the union.

    >>> metric = ReferringIoU()
    >>> metric.update("nobody", np.zeros((2, 2), bool), np.zeros((2, 2), bool))
    >>> metric.compute().n_acc
    1.0
    """

    def __init__(self, precision_at: Sequence[float] = PRECISION_AT):
        super().__init__()
        self.precision_at = tuple(precision_at)

    def update(self, key: Any, prediction: Mask, target: Mask) -> None:
        """Add one sample; see `mask_overlap`."""
        self.add(key, mask_overlap(prediction, target))

    def compute(self) -> ReferringResult:
        """Return the figures. Raises `MetricError` if there are no samples."""
        counts = np.array(self.require_samples(), np.float64)
        intersection, union, target, prediction = counts.T
        has_target, has_prediction = target > 0, prediction > 0
        iou = referring_iou(counts)
        levels = {t: ratio((iou[has_target] >= t).sum(), has_target.sum(), np.nan) for t in self.precision_at}
        return ReferringResult(
            float(iou.mean()),
            ratio(intersection.sum(), union.sum()),
            ratio((~has_target & ~has_prediction).sum(), (~has_target).sum(), np.nan),
            ratio((has_target & has_prediction).sum(), has_target.sum(), np.nan),
            levels,
            len(iou),
        )


def ratio(part: float, whole: float, undefined: float = 0.0) -> float:
    """`part / whole`, or `undefined` if the whole is 0."""
    return float(part / whole) if whole else undefined
