"""A run of a benchmark: each sample is predicted once, stored and scored."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from evals.benchmark_results import RunOutcome
from evals.journal import Journal
from evals.plain_text import short_line
from evals.prediction_records import StoredPrediction, check_finite, is_for
from evals.sample_runners import SampleRunner
from evals.samples import Sample
from evals.shards import Shard
from evals.tally import Tally
from sam3model.errors import CheckpointError, ConfigError, OutputError, Sam3Error

log = logging.getLogger(__name__)

MAX_CONSECUTIVE_FAILURES = 20
"""The run stops after this many: the cause is not in the samples."""


class BenchmarkRun:
    """Runs and scores the samples of a shard, `concurrency` at a time."""

    def __init__(
        self, samples: Shard, runner: SampleRunner[Any], tally: Tally, journal: Journal, concurrency: int
    ) -> None:
        self.samples = samples
        self.runner = runner
        self.tally = tally
        self.journal = journal
        self.concurrency = min(concurrency, len(samples))
        self._consecutive = 0

    def run(self) -> RunOutcome:
        """Run all samples; those predicted by an earlier run are only scored.

        Raises errors that would fail every sample: `CheckpointError`, `ConfigError`, the error of an unusable backend,
        `OutputError` of the run's own files, and `Sam3Error` after `MAX_CONSECUTIVE_FAILURES` failures.
        """
        asyncio.run(self._all())
        return self.tally.outcome(len(self.samples), self.journal.failures)

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
        before: StoredPrediction | None = None
        stored: StoredPrediction | None = None
        try:
            before = self._stored(sample)
            stored = before or await self._predict(sample)
            scored = self.tally.add(sample, stored)
        except Exception as error:
            if stored is not None and before is None:
                self.journal.keep(sample.key, stored)
            self._fail(sample, error)
        else:
            if scored != before:
                self.journal.keep(sample.key, scored)
            self._consecutive = 0

    def _stored(self, sample: Sample) -> StoredPrediction | None:
        """The prediction of an earlier run, if it is for this sample."""
        stored = self.journal.predictions.get(sample.key)
        return stored if stored and is_for(stored.prediction, sample) else None

    async def _predict(self, sample: Sample) -> StoredPrediction:
        started = time.monotonic()
        prediction = await self.runner(sample)
        check_finite(prediction)
        return StoredPrediction(prediction, round(time.monotonic() - started, 6))

    def _fail(self, sample: Sample, error: Exception) -> None:
        """Record a failure, or end the run."""
        unusable = getattr(error, "fatal", False) and not self.tally.scored
        self._consecutive += 1
        if isinstance(error, CheckpointError | ConfigError | OutputError) or unusable:
            raise error
        if not isinstance(error, Sam3Error):
            log.warning("%r: unexpected failure: %s: %s", sample.key, type(error).__name__, short_line(error))
            log.debug("traceback", exc_info=error)
        self.journal.fail(sample.key, error)
        if self._consecutive >= MAX_CONSECUTIVE_FAILURES:
            raise Sam3Error(
                f"{self._consecutive} samples in a row failed, the last one with: {short_line(error)}"
            ) from error
