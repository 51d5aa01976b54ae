"""AP under resamples of the images, without matching again."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from evals.intervals import Draws
from sam3model.metrics.average_precision import RECALL_POINTS, AveragePrecision, UnitMatches
from sam3model.metrics.overlap import FloatArray


def resample_ap(metric: AveragePrecision, draws: Draws, sample_of: Callable[[Any], str]) -> FloatArray:
    """AP (B,) in percent over all areas under each resample; nan without targets.

    sample_of: the key of the sample that a unit of the metric belongs to. A unit that was drawn n times counts n times:
    each of its targets n times, each of its detections as n hits or misses at its place in the ranking.
    """
    by_category: dict[Any, list[tuple[str, UnitMatches]]] = defaultdict(list)
    for category, unit in sorted(metric.samples):
        by_category[category].append((sample_of(unit), metric.samples[category, unit]))
    limit = metric.rules.max_detections[-1]
    columns = [_precision(units, draws, limit) for units in by_category.values()]
    if not columns:
        return np.full(len(draws.counts), np.nan)
    values = np.stack(columns)  # (C, B)
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return 100 * np.where(defined, values, 0).sum(0) / defined.sum(0)


def _precision(units: list[tuple[str, UnitMatches]], draws: Draws, limit: int) -> FloatArray:
    """Mean precision (B,) over thresholds and recall points of one category; nan where it has no target."""
    matches = [match for _, match in units]
    drawn = draws.of(key for key, _ in units)  # (B, units)
    positives = drawn @ np.array([match.positives[0] for match in matches], np.float64)
    order = np.argsort(-np.concatenate([match.scores[:limit] for match in matches]), kind="stable")
    unit_of = np.repeat(np.arange(len(matches)), [len(match.scores[:limit]) for match in matches])[order]
    matched = np.concatenate([match.matched[0, :, :limit] for match in matches], 1)[:, order]  # (T, D)
    counted = ~np.concatenate([match.ignored[0, :, :limit] for match in matches], 1)[:, order]
    hits, misses = (matched & counted).astype(np.float64), (~matched & counted).astype(np.float64)
    found = np.full(len(drawn), np.nan)
    for row in np.flatnonzero(positives):
        weight = drawn[row, unit_of]
        tp, fp = np.cumsum(hits * weight, 1), np.cumsum(misses * weight, 1)
        precision = tp / (tp + fp + np.spacing(1))
        envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
        padded = np.concatenate([envelope, np.zeros((len(envelope), 1))], 1)
        places = [np.searchsorted(recall, RECALL_POINTS) for recall in tp / positives[row]]
        found[row] = np.take_along_axis(padded, np.stack(places), 1).mean()
    return found
