"""Figures under resamples of the samples, computed from what the metrics keep per sample.

Each function returns arrays (B,), one value per resample, scaled as the figures.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evals.intervals import Draws, divide
from sam3model.metrics.average_precision import RECALL_POINTS, AveragePrecision, UnitMatches
from sam3model.metrics.concept_f1 import IMAGE_LEVEL_EPSILON, LOCAL_EPSILON, SampleCounts, f1
from sam3model.metrics.overlap import FloatArray

AP_RESAMPLES = 200
"""AP is computed for the first of the resamples only, since it takes long on large data sets."""


def resample_ap(metric: AveragePrecision, draws: Draws, sample_of: Callable[[Any], str]) -> FloatArray:
    """AP in percent over all areas; nan without targets, and after the first `AP_RESAMPLES` resamples.

    sample_of: the key of the sample that a unit of the metric belongs to. A unit that was drawn n times counts n times:
    each of its targets n times, each of its detections as n hits or misses at its place in the ranking.
    """
    by_category: dict[Any, list[tuple[str, UnitMatches]]] = defaultdict(list)
    for category, unit in sorted(metric.samples):
        by_category[category].append((sample_of(unit), metric.samples[category, unit]))
    limit = metric.rules.max_detections[-1]
    columns = [_precision(units, draws, limit) for units in by_category.values()]
    values = np.stack(columns) if columns else np.full((1, len(draws.counts)), np.nan)  # (C, B)
    defined = np.isfinite(values)
    return 100 * divide(np.where(defined, values, 0).sum(0), defined.sum(0).astype(np.float64))


def _precision(units: list[tuple[str, UnitMatches]], draws: Draws, limit: int) -> FloatArray:
    """Mean precision (B,) over thresholds and recall points of one category; nan where it has no target."""
    matches = [match for _, match in units]
    drawn = draws.of(key for key, _ in units)[: max(0, AP_RESAMPLES - draws.start)]  # (B, units)
    positives = drawn @ np.array([match.positives[0] for match in matches], np.float64)
    order = np.argsort(-np.concatenate([match.scores[:limit] for match in matches]), kind="stable")
    unit_of = np.repeat(np.arange(len(matches)), [len(match.scores[:limit]) for match in matches])[order]
    matched = np.concatenate([match.matched[0, :, :limit] for match in matches], 1)[:, order]  # (T, D)
    counted = ~np.concatenate([match.ignored[0, :, :limit] for match in matches], 1)[:, order]
    hits, misses = (matched & counted).astype(np.float64), (~matched & counted).astype(np.float64)
    found = np.full(len(draws.counts), np.nan)
    for row in np.flatnonzero(positives):
        weight = drawn[row, unit_of]
        tp, fp = np.cumsum(hits * weight, 1), np.cumsum(misses * weight, 1)
        precision = tp / (tp + fp + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        padded = np.concatenate([envelope, np.zeros((len(envelope), 1))], 1)
        places = [np.searchsorted(recall, RECALL_POINTS) for recall in tp / positives[row]]
        found[row] = np.take_along_axis(padded, np.stack(places), 1).mean()
    return found


def resample_concepts(samples: Mapping[Any, SampleCounts], keys: Sequence[str], draws: Draws) -> dict[str, FloatArray]:
    """cgF1, pmF1 and IL_MCC over pairs. keys: the sample that each pair belongs to, in the order of `samples`."""
    hits = np.stack([one.true_positives for one in samples.values()]).astype(np.float64)  # (K, T)
    targets, detections = np.array([(one.targets, one.detections) for one in samples.values()], np.float64).T
    has_target, has_detection = targets > 0, detections > 0
    drawn = draws.of(keys)
    tp, fn = drawn @ hits, drawn @ (targets[:, None] - hits)
    fp = drawn @ ((detections[:, None] - hits) * has_target[:, None])
    micro = f1(tp / (tp + fp + LOCAL_EPSILON), tp / (tp + fn + LOCAL_EPSILON))  # (B, T)
    flags = (has_target & has_detection, ~has_target & has_detection, ~has_target & ~has_detection)
    il_tp, il_fp, il_tn, il_fn = (drawn @ flag for flag in (*flags, has_target & ~has_detection))
    root = np.sqrt((il_tp + il_fp) * (il_tp + il_fn) * (il_tn + il_fp) * (il_tn + il_fn))
    mcc = (il_tp * il_tn - il_fp * il_fn) / (root + IMAGE_LEVEL_EPSILON)
    pmf1 = micro.mean(1)
    return {"cgF1": 100 * pmf1 * mcc, "pmF1": 100 * pmf1, "IL_MCC": mcc}


def concept_score(counts: Sequence[SampleCounts]) -> float:
    """F1 of the pairs of a sample, 2 TP / (2 TP + FP + FN) or 1 for a true negative; mean over thresholds and pairs."""
    values = []
    for one in counts:
        whole = one.targets + one.detections
        values.append(float((2 * one.true_positives / whole).mean()) if whole else 1.0)
    return sum(values) / len(values) if values else 1.0
