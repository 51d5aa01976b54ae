"""A run of a benchmark: each sample is predicted once, stored and scored."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any, assert_never

from tqdm import tqdm

from evals.benchmark_types import Samples, Scorer
from evals.journal import Journal
from evals.result_tables import RunOutcome
from evals.sample_runners import SampleRunner
from evals.samples import (
    ClickPrediction,
    ClickSample,
    MaskletPrediction,
    MaskletSample,
    PhrasePrediction,
    PhraseSample,
    Prediction,
    QuestionPrediction,
    QuestionSample,
    Sample,
    VideoPrediction,
    VideoSample,
)
from sam3model.errors import CheckpointError, ConfigError, Sam3Error

log = logging.getLogger(__name__)

MAX_CONSECUTIVE_FAILURES = 20
"""The run stops after this many: the cause is not in the samples."""


class Shard:
    """Every `shards`-th of the first `limit` samples, starting with number `shard` (from 0)."""

    def __init__(self, samples: Samples[Sample], limit: int | None, shard: int, shards: int) -> None:
        self._samples = samples
        self._indices = range(shard, min(len(samples), limit or len(samples)), shards)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self._indices[index]]


class BenchmarkRun:
    """Runs and scores the samples of a shard, `concurrency` at a time."""

    def __init__(
        self, samples: Shard, runner: SampleRunner[Any], scorer: Scorer, journal: Journal, concurrency: int
    ) -> None:
        self.samples = samples
        self.runner = runner
        self.scorer = scorer
        self.journal = journal
        self.concurrency = concurrency
        self._scored = 0
        self._consecutive = 0

    def run(self) -> RunOutcome:
        """Run all samples; those predicted by an earlier run are only scored.

        Raises errors that would fail every sample: `CheckpointError`, `ConfigError`, the error of an unusable backend,
        and `Sam3Error` after `MAX_CONSECUTIVE_FAILURES` failures.
        """
        started = time.monotonic()
        asyncio.run(self._all())
        return RunOutcome(
            samples=len(self.samples),
            scored=self._scored,
            failures=dict(self.journal.failures),
            seconds=time.monotonic() - started,
            figures=self.scorer.compute() if self._scored else {},
        )

    async def _all(self) -> None:
        order = iter(range(len(self.samples)))
        with tqdm(total=len(self.samples), unit="sample", disable=None) as bar:
            workers = [asyncio.create_task(self._work(order, bar)) for _ in range(self.concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()

    async def _work(self, order: Iterator[int], bar: "tqdm[Any]") -> None:
        for index in order:
            sample = await asyncio.to_thread(self.samples.__getitem__, index)
            await self._one(sample)
            bar.update()

    async def _one(self, sample: Sample) -> None:
        try:
            prediction = self.journal.predictions.get(sample.key)
            if prediction is None or not _is_for(prediction, sample):
                prediction = await self.runner(sample)
                self.journal.keep(sample.key, prediction)
            self.scorer.update(sample, prediction)
        except Exception as error:
            self._fail(sample, error)
        else:
            self._scored += 1
            self._consecutive = 0

    def _fail(self, sample: Sample, error: Exception) -> None:
        """Record a failure, or end the run."""
        unusable = getattr(error, "fatal", False) and not self._scored
        self._consecutive += 1
        if isinstance(error, CheckpointError | ConfigError) or unusable:
            raise error
        if not isinstance(error, Sam3Error):
            log.warning("%s: unexpected failure", sample.key, exc_info=error)
        self.journal.fail(sample.key, error)
        if self._consecutive >= MAX_CONSECUTIVE_FAILURES:
            raise Sam3Error(f"{self._consecutive} samples in a row failed, the last one with: {error}") from error


def _is_for(prediction: Prediction, sample: Sample) -> bool:
    """Whether a stored prediction has the same phrases, question or number of objects as the sample."""
    match sample:
        case PhraseSample():
            return isinstance(prediction, PhrasePrediction) and prediction.phrases == sample.phrases
        case QuestionSample():
            return isinstance(prediction, QuestionPrediction) and prediction.question == sample.question
        case VideoSample():
            return isinstance(prediction, VideoPrediction) and prediction.phrases == sample.phrases
        case ClickSample():
            return isinstance(prediction, ClickPrediction) and len(prediction.masks) == len(sample.masks)
        case MaskletSample():
            return isinstance(prediction, MaskletPrediction) and prediction.phrases == sample.phrases
        case _:
            assert_never(sample)
