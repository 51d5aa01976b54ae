"""Average precision and recall of COCO, from IoU matrices (pycocotools' `COCOeval`, vectorised).

Detections are matched within a *unit*: an image, a video, or a phrase of a video. COCO AP, YTVIS AP and OmniLabel AP
differ only in how the IoU matrix is computed, so they share this file.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.metric_result import MetricResult, mean_of_defined
from sam3model.metrics.overlap import IOU_THRESHOLDS, FloatArray, finite_scores

BoolArray = NDArray[np.bool_]
RECALL_POINTS = np.linspace(0, 1, 101)
UNBOUNDED = 1e10


@dataclass(frozen=True)
class ApRules:
    """Rules that differ between benchmarks.

    thresholds: of IoU. max_detections: limits per unit, ascending. area_splits: maximum area of small and of medium
    objects, in pixels.
    """

    thresholds: tuple[float, ...] = tuple(IOU_THRESHOLDS.tolist())
    max_detections: tuple[int, ...] = (1, 10, 100)
    area_splits: tuple[float, float] = (32.0**2, 96.0**2)

    @cached_property
    def area_ranges(self) -> tuple[FloatArray, FloatArray]:
        """Minimum and maximum areas of the ranges all, small, medium and large, each (4, 1)."""
        small, medium = self.area_splits
        return np.array([[0, 0, small, medium]]).T, np.array([[UNBOUNDED, small, medium, UNBOUNDED]]).T

    @cached_property
    def min_iou(self) -> FloatArray:
        """Minimum IoU of a match per threshold, (T,); pycocotools accepts 1 - 1e-10 for 1."""
        return np.minimum(self.thresholds, 1 - 1e-10)


class UnitMatches(NamedTuple):
    """One category in one unit: detections by descending score (D,), per area range (A) and threshold (T)."""

    scores: FloatArray
    matched: BoolArray  # (A, T, D)
    ignored: BoolArray  # (A, T, D)
    positives: NDArray[np.int64]  # (A,) number of targets that count


def strongest(scores: ArrayLike, limit: int) -> NDArray[np.intp]:
    """Indices of the `limit` highest scores, descending; ties stay in order.

    Raises `MetricError` if a score is NaN or infinite.

    >>> strongest([0.1, 0.9, 0.9], 2).tolist()
    [1, 2]
    """
    return np.argsort(-finite_scores(scores), kind="stable")[:limit]


def match_greedily(
    iou: FloatArray, crowd: BoolArray, unwanted: BoolArray, min_iou: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Match each detection, highest score first, to the free target with the largest IoU.

    iou: (D, G). crowd: (G,), targets that can be matched repeatedly. unwanted: (A, G), crowds and targets outside area
    range A; they are matched only if no other target is left. min_iou: (T,), ascending. Returns matched and
    matched-to-unwanted, (A, T, D). The later target wins ties.
    """
    shape = (len(unwanted), len(min_iou), len(iou))
    matched, to_unwanted = np.zeros(shape, bool), np.zeros(shape, bool)
    if not iou.size or iou.max() < min_iou[0]:
        return matched, to_unwanted
    reachable = iou >= min_iou[0]
    choices, rivals = reachable.sum(1), reachable.sum(0)
    alone = reachable & (choices == 1)[:, None] & (rivals == 1)
    d, g = np.nonzero(alone)
    matched[:, :, d] = iou[d, g] >= min_iou[:, None]
    to_unwanted[:, :, d] = matched[:, :, d] & unwanted[:, None, g]
    free = np.ones((*shape[:2], iou.shape[1]), bool)
    for d in np.flatnonzero((choices > 0) & ~alone.any(1)):
        g = np.flatnonzero(reachable[d])
        open_ = free[:, :, g] & (iou[d, g] >= min_iou[:, None])  # (A, T, g)
        rank = 1 + (iou[d, g, None] > iou[d, g]).sum(1) + len(g) * ~unwanted[:, None, g]
        value = np.where(open_, rank, 0)[:, :, ::-1]
        matched[:, :, d] = hit = value.any(2)
        a, t = np.nonzero(hit)
        chosen = g[len(g) - 1 - value.argmax(2)[a, t]]
        to_unwanted[a, t, d] = unwanted[a, chosen]
        free[a, t, chosen] = crowd[chosen]
    return matched, to_unwanted


def match_unit(
    iou: FloatArray, scores: FloatArray, target_areas: FloatArray, areas: FloatArray, crowd: BoolArray, rules: ApRules
) -> UnitMatches:
    """Match one category of one unit.

    iou: (D, G), detections by descending score; scores, areas: (D,); target_areas, crowd: (G,).
    """
    low, high = rules.area_ranges
    unwanted = crowd | (target_areas < low) | (target_areas > high)  # (A, G)
    matched, to_unwanted = match_greedily(iou, crowd, unwanted, rules.min_iou)
    outside = ((areas < low) | (areas > high))[:, None]  # (A, 1, D)
    return UnitMatches(scores, matched, to_unwanted | (~matched & outside), (~unwanted).sum(1))


@dataclass(frozen=True, slots=True)
class ApResult(MetricResult):
    """The twelve COCO figures (-1 without targets), and AP and recall per category.

    per_category: category -> precision per IoU threshold, averaged over 101 recall points (all areas, largest limit).
    recall_per_category: category -> final recall per IoU threshold.
    """

    stats: Mapping[str, float]
    per_category: Mapping[Any, tuple[float, ...]]
    recall_per_category: Mapping[Any, tuple[float, ...]]

    @property
    def ap(self) -> float:
        """AP averaged over thresholds and categories, the headline figure."""
        return self.stats["AP"]

    def summary(self) -> dict[str, float]:
        """AP, AP_50, AP_75, AP_small .. AR_large."""
        return dict(self.stats)


class AveragePrecision(Aggregate[UnitMatches]):
    """AP over (category, unit) groups; picklable, shards can be merged, the order of updates does not matter."""

    def __init__(self, rules: ApRules | None = None):
        super().__init__()
        self.rules = rules or ApRules()

    def update(
        self,
        category: Hashable,
        unit: Hashable,
        iou: FloatArray,
        scores: ArrayLike,
        target_areas: ArrayLike | None = None,
        areas: ArrayLike | None = None,
        crowd: Sequence[Any] | None = None,
    ) -> None:
        """Add one category of one unit.

        iou: (D, G), at most `max_detections[-1]` detections by descending score (see `strongest`); crowd columns have
        intersection over detection area. target_areas: (G,), areas: (D,), in pixels; required for the area ranges.
        Categories must be sortable, and units, too. Raises `MetricError` if the pair was added before or a score is not
        finite.
        """
        detections, targets = iou.shape
        flags = np.zeros(targets, bool) if crowd is None else np.asarray(crowd, bool)
        sizes = np.zeros(targets) if target_areas is None else np.asarray(target_areas, np.float64)
        own = np.zeros(detections) if areas is None else np.asarray(areas, np.float64)
        ranked = finite_scores(scores)
        self.add((category, unit), match_unit(iou, ranked, sizes, own, flags, self.rules))

    def compute(self) -> ApResult:
        """Return the figures; categories without targets are left out of the mean."""
        by_category: dict[Any, list[UnitMatches]] = defaultdict(list)
        for category, unit in sorted(self.samples):
            by_category[category].append(self.samples[category, unit])
        curves = {c: category_curves(units, self.rules) for c, units in by_category.items()}
        defined = {c: v for c, v in curves.items() if v[0][0, 0] > -1}
        return ApResult(
            _stats(list(curves.values()), self.rules),
            {c: tuple(precision[0].tolist()) for c, (precision, _) in defined.items()},
            {c: tuple(recall[-1, 0].tolist()) for c, (_, recall) in defined.items()},
        )


def category_curves(units: Sequence[UnitMatches], rules: ApRules) -> tuple[FloatArray, FloatArray]:
    """Mean precision (A, T) at the largest limit, and final recall (M, A, T) per limit of detections; -1: undefined."""
    positives = np.sum([u.positives for u in units], 0)  # (A,)
    ranges, count = len(positives), len(rules.thresholds)
    precision, recall = np.full((ranges, count), -1.0), np.full((len(rules.max_detections), ranges, count), -1.0)
    has_targets = positives > 0
    for m, limit in enumerate(rules.max_detections):
        order = np.argsort(-np.concatenate([u.scores[:limit] for u in units]), kind="stable")
        matched = np.concatenate([u.matched[has_targets, :, :limit] for u in units], 2)[:, :, order]  # (A, T, D)
        counted = ~np.concatenate([u.ignored[has_targets, :, :limit] for u in units], 2)[:, :, order]
        hits = np.cumsum(matched & counted, 2, dtype=np.float64)
        sweep = hits / positives[has_targets, None, None]
        recall[m, has_targets] = sweep[:, :, -1] if len(order) else 0.0
        if m == len(rules.max_detections) - 1:
            misses = np.cumsum(~matched & counted, 2, dtype=np.float64)
            precision[has_targets] = interpolated(hits / (hits + misses + np.spacing(1)), sweep)
    return precision, recall


def interpolated(precision: FloatArray, recall: FloatArray) -> FloatArray:
    """Mean over 101 recall points of the precision envelope; (A, T, D) -> (A, T).

    >>> float(interpolated(np.array([[[1.0, 0.5]]]), np.array([[[0.5, 0.5]]]))[0, 0].round(3))
    0.505
    """
    envelope = np.maximum.accumulate(precision[:, :, ::-1], 2)[:, :, ::-1]
    padded = np.concatenate([envelope, np.zeros((*envelope.shape[:2], 1))], 2)
    result = np.zeros(precision.shape[:2])
    for at in np.ndindex(*result.shape):
        result[at] = padded[at][np.searchsorted(recall[at], RECALL_POINTS)].mean()
    return result


def _stats(curves: Sequence[tuple[FloatArray, FloatArray]], rules: ApRules) -> dict[str, float]:
    shape = (0, 4, len(rules.thresholds)), (0, len(rules.max_detections), 4, len(rules.thresholds))
    precision = np.stack([p for p, _ in curves]) if curves else np.zeros(shape[0])  # (K, A, T)
    recall = np.stack([r for _, r in curves]) if curves else np.zeros(shape[1])  # (K, M, A, T)
    at = np.asarray(rules.thresholds)
    stats = {"AP": mean_of_defined(precision[:, 0])}
    for name, threshold in (("AP_50", 0.5), ("AP_75", 0.75)):
        stats[name] = mean_of_defined(precision[:, 0, np.isclose(at, threshold)])
    sizes = ("small", "medium", "large")
    stats |= {f"AP_{size}": mean_of_defined(precision[:, i + 1]) for i, size in enumerate(sizes)}
    limits = enumerate(rules.max_detections)
    stats |= {f"AR_maxDets@{limit}": mean_of_defined(recall[:, m, 0]) for m, limit in limits}
    return stats | {f"AR_{size}": mean_of_defined(recall[:, -1, i + 1]) for i, size in enumerate(sizes)}
