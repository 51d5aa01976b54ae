"""Classification-gated F1 (cgF1) of concept segmentation, from counts (SAM 3 paper, section "Metrics").

A *sample* is one (image, phrase) or (video, phrase) pair, already matched: the number of targets, the number of
detections, and the number of matches at each IoU threshold. Image and video cgF1 share this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import MetricError
from sam3model.metrics.assignment import matched_similarity
from sam3model.metrics.metric_result import MetricResult, mean_of_defined
from sam3model.metrics.overlap import IOU_THRESHOLDS, FloatArray

LOCAL_EPSILON = 1e-4
IMAGE_LEVEL_EPSILON = 1e-6
AVERAGED = ("cgF1", "precision", "recall", "F1", "positive_macro_F1", "positive_micro_F1", "positive_micro_precision")


class SampleCounts(NamedTuple):
    """Counts of one sample: true positives per threshold (10,), number of targets, number of detections."""

    true_positives: NDArray[np.int64]
    targets: int
    detections: int

    @property
    def is_true_negative(self) -> bool:
        """No targets and no detections."""
        return not self.targets and not self.detections

    @property
    def local_f1(self) -> float:
        """F1 of this sample, averaged over the thresholds."""
        return float(local_f1(self.true_positives, self.targets, self.detections).mean())


def f1(precision: Any, recall: Any) -> Any:
    """Harmonic mean, with the official epsilon of 1e-4 in the denominator."""
    return 2 * precision * recall / (precision + recall + LOCAL_EPSILON)


def local_f1(true_positives: FloatArray | NDArray[np.int64], targets: Any, detections: Any) -> FloatArray:
    """F1 from counts; arrays broadcast."""
    return f1(true_positives / (detections + LOCAL_EPSILON), true_positives / (targets + LOCAL_EPSILON))


def count_matches(iou: FloatArray) -> SampleCounts:
    """Counts of a sample from its IoU matrix, (targets, detections).

    The assignment maximises the total IoU; thresholds are applied afterwards.

    >>> count_matches(np.array([[0.9, 0.2]])).true_positives.tolist()
    [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    """
    targets, detections = iou.shape
    matched = matched_similarity(iou) if targets and detections else np.zeros(0)
    return SampleCounts((matched[:, None] >= IOU_THRESHOLDS).sum(0), targets, detections)


def best_annotator(candidates: Sequence[SampleCounts]) -> SampleCounts:
    """Return the counts of the annotator who agrees best with the detections.

    A true negative wins; otherwise the largest mean local F1, and the earlier annotator on ties.
    """
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda counts: np.inf if counts.is_true_negative else counts.local_f1)


def image_level(tp: int, fp: int, tn: int, fn: int) -> dict[str, float]:
    """Presence of the phrase in the image: recall, precision, F1, false-positive rate, Matthews correlation.

    IL_MCC is 0 if a row or column of the confusion matrix is empty, even for perfect predictions. Without negative
    phrases cgF1 is therefore meaningless; use positive_micro_F1.

    >>> round(image_level(tp=9, fp=1, tn=9, fn=1)["IL_MCC"], 3)
    0.8
    """
    eps = IMAGE_LEVEL_EPSILON
    recall, precision = tp / (tp + fn + eps), tp / (tp + fp + eps)
    root = np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    return {
        "IL_precision": precision,
        "IL_recall": recall,
        "IL_F1": 2 * precision * recall / (precision + recall + eps),
        "IL_FPR": fp / (fp + tn + eps),
        "IL_MCC": float((tp * tn - fp * fn) / (root + eps)),
    }


@dataclass(frozen=True, slots=True)
class ConceptF1Result(MetricResult):
    """cgF1 and its components.

    per_threshold: name -> one value per IoU threshold 0.50, 0.55 .. 0.95: the counts TPs, FPs, FNs, positive_micro_FPs
        and the rates cgF1, precision, recall, F1, positive_macro_F1 (nan without samples), positive_micro_F1 (pmF1 in
        the paper), positive_micro_precision.
    image_level: IL_recall, IL_precision, IL_F1, IL_FPR, IL_MCC; image_level_counts: IL_TP, IL_FP, IL_TN, IL_FN.
    """

    per_threshold: Mapping[str, tuple[float, ...]]
    image_level: Mapping[str, float]
    image_level_counts: Mapping[str, int]
    samples: int

    @property
    def cgf1(self) -> float:
        """cgF1 averaged over the ten IoU thresholds, the headline figure."""
        return mean_of_defined(self.per_threshold["cgF1"])

    @property
    def pmf1(self) -> float:
        """positive_micro_F1 averaged over the ten IoU thresholds."""
        return mean_of_defined(self.per_threshold["positive_micro_F1"])

    @property
    def il_mcc(self) -> float:
        """Matthews correlation of the presence of the phrase."""
        return self.image_level["IL_MCC"]

    def summary(self) -> dict[str, float]:
        """Figures by official name: means over thresholds (-1 if undefined), and those at IoU @0.5 and @0.75."""
        figures = {name: mean_of_defined(self.per_threshold[name]) for name in AVERAGED}
        figures |= self.image_level
        for suffix, index in (("@0.5", 0), ("@0.75", 5)):
            figures |= {name + suffix: mean_of_defined([self.per_threshold[name][index]]) for name in AVERAGED}
        return figures


def summarise(samples: Sequence[SampleCounts]) -> ConceptF1Result:
    """Figures over all samples. Raises `MetricError` if there are none."""
    if not samples:
        raise MetricError("no samples to evaluate: no (image, phrase) pair is annotated exhaustively")
    tp = np.stack([s.true_positives for s in samples])  # (N, 10)
    targets = np.array([s.targets for s in samples])[:, None]  # (N, 1)
    detections = np.array([s.detections for s in samples])[:, None]
    has_target, has_detection = targets[:, 0] > 0, detections[:, 0] > 0
    both = has_target & has_detection
    level_counts = {
        "IL_TP": int(both.sum()),
        "IL_FP": int((~has_target & has_detection).sum()),
        "IL_TN": int((~has_target & ~has_detection).sum()),
        "IL_FN": int((has_target & ~has_detection).sum()),
    }
    level = image_level(*level_counts.values())
    totals = tp.sum(0), (detections - tp).sum(0), (targets - tp).sum(0), (detections - tp)[has_target].sum(0)
    TP, FP, FN, positive_FP = totals
    precision, recall = TP / (TP + FP + LOCAL_EPSILON), TP / (TP + FN + LOCAL_EPSILON)
    positive_precision = TP / (TP + positive_FP + LOCAL_EPSILON)
    micro = f1(positive_precision, recall)
    macro = local_f1(tp, targets, detections)[both].mean(0) if both.any() else np.full(len(IOU_THRESHOLDS), np.nan)
    counts = dict(zip(("TPs", "FPs", "FNs", "positive_micro_FPs"), totals, strict=True))
    rates = (micro * level["IL_MCC"], precision, recall, f1(precision, recall), macro, micro, positive_precision)
    curves = counts | dict(zip(AVERAGED, rates, strict=True))
    per_threshold = {name: tuple(values.tolist()) for name, values in curves.items()}
    return ConceptF1Result(per_threshold, level, level_counts, len(samples))
