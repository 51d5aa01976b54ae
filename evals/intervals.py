"""Confidence intervals by bootstrap: the samples are drawn again with replacement, and the figures computed again.

The unit is the sample: an image with its phrases, a question, a clip. Questions about one image are drawn one by one,
so intervals are a little too narrow if many questions share an image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from evals.benchmark_types import AnyBenchmark, Figures, VideoBenchmark
from sam3model.metrics.overlap import FloatArray

RESAMPLES = 1000
SEED = 0
LEVEL = 95
"""Percent of the resampled figures that lie in the interval."""
MAX_COUNTS = 1 << 21
"""Maximum number of counts in memory at once."""
Interval = tuple[float, float]


class Draws:
    """B resamples of N samples. counts: (B, N), how often each sample was drawn; keys: of the samples.

    start: number of resamples before these.
    """

    def __init__(self, counts: FloatArray, keys: Sequence[str], start: int = 0) -> None:
        self.counts = counts
        self.start = start
        self._column = {key: number for number, key in enumerate(keys)}

    def of(self, keys: Iterable[str]) -> FloatArray:
        """Counts (B, K) of the samples with these keys; a key may occur several times."""
        return self.counts[:, [self._column[key] for key in keys]]

    def mean(self, keys: Sequence[str], values: Any, weights: Any = None) -> FloatArray:
        """The mean (B,) in each resample of values (K,), one per key; nan where all weights (K,) drawn are 0."""
        counts = self.of(keys) if weights is None else self.of(keys) * np.asarray(weights, np.float64)
        return divide(counts @ np.asarray(values, np.float64), counts.sum(1))


@runtime_checkable
class Resampling(Protocol):
    """A scorer whose figures have intervals."""

    def resample(self, draws: Draws) -> Mapping[str, FloatArray]:
        """Figures (B,) under each resample, named and scaled as in `compute`; some may be left out."""
        ...


def has_intervals(benchmark: AnyBenchmark) -> bool:
    """Whether figures of a benchmark can have intervals: those of videos in the official layouts are of whole files."""
    return not isinstance(benchmark, VideoBenchmark) and isinstance(benchmark.scorer(), Resampling)


def intervals(scorer: object, keys: Iterable[str], figures: Figures, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """The interval of every figure that can be resampled, in its unit; none for fewer than two samples.

    keys: of the samples that were scored, in any order. The same samples give the same intervals.
    """
    ordered = sorted(keys)
    if not isinstance(scorer, Resampling) or len(ordered) < 2 or not resamples:
        return {}
    parts = [scorer.resample(Draws(counts, ordered, start)) for start, counts in _counts(len(ordered), resamples)]
    found = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts])
        values = values[np.isfinite(values)]
        if name in figures and len(values):
            tail = (100 - LEVEL) / 2
            low, high = np.percentile(values, [tail, 100 - tail]).tolist()
            found[name] = (low, high)
    return found


def _counts(samples: int, resamples: int) -> Iterator[tuple[int, FloatArray]]:
    """Counts (B, samples), some resamples at a time with the number of the first; independent of how many."""
    rng = np.random.default_rng(SEED)
    step = max(1, MAX_COUNTS // samples)
    for start in range(0, resamples, step):
        rows = [_drawn(rng, samples) for _ in range(min(step, resamples - start))]
        yield start, np.stack(rows)


def _drawn(rng: np.random.Generator, samples: int) -> FloatArray:
    return np.bincount(rng.integers(samples, size=samples), minlength=samples).astype(np.float64)


def divide(part: FloatArray, whole: FloatArray) -> FloatArray:
    """`part / whole`, nan where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)
