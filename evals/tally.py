"""Scores the samples of a run one by one: figures, scores per sample, costs and intervals."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evals.benchmark_results import RunOutcome
from evals.benchmark_types import Scorer
from evals.intervals import RESAMPLES, intervals
from evals.prediction_records import StoredPrediction
from evals.run_costs import CostCounter
from evals.samples import QuestionPrediction, Sample, VideoPrediction
from sam3model.metrics.metric_result import plain

DIGITS = 4


class Tally:
    """A scorer with what is counted beside it. resamples: of the bootstrap, 0 for no intervals."""

    def __init__(self, scorer: Scorer, resamples: int = RESAMPLES) -> None:
        self._scorer = scorer
        self._resamples = resamples
        self._costs = CostCounter()
        self._keys: list[str] = []
        self._started = time.monotonic()

    @property
    def scored(self) -> int:
        """Number of samples in the figures."""
        return len(self._keys)

    def add(self, sample: Sample, stored: StoredPrediction) -> StoredPrediction:
        """Add a sample; its prediction with the scores of the sample. Raises `MetricError` if they do not fit."""
        scores: Mapping[str, Any] | None = self._scorer.update(sample, stored.prediction)
        self._keys.append(sample.key)
        prediction = stored.prediction
        answer = prediction.answer if isinstance(prediction, VideoPrediction) else prediction
        if isinstance(answer, QuestionPrediction):
            self._costs.add(answer, stored.seconds)
        shown = {name: round(v, DIGITS) if isinstance(v, float) else v for name, v in plain(scores or {}).items()}
        return replace(stored, scores=shown)

    def outcome(self, samples: int, failures: Mapping[str, str], seconds: float | None = None) -> RunOutcome:
        """The outcome over `samples` samples. seconds: of the run; by default since this object was made."""
        figures = self._scorer.compute() if self._keys else {}
        taken = time.monotonic() - self._started if seconds is None else seconds
        found = intervals(self._scorer, self._keys, figures, self._resamples)
        return RunOutcome(samples, len(self._keys), figures, dict(failures), taken, self._costs.result(), found)
