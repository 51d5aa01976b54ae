"""A run: every sample predicted once, kept, and scored."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from evals.journal import Journal, Prediction
from evals.predict import Predictor
from evals.registry import PhraseSample, QuestionSample, Scorer
from evals.results import Outcome
from sam3model.errors import CheckpointError, ConfigError, Sam3Error

log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 20
"""After so many the run stops: something is wrong with more than the samples."""

Sample = PhraseSample[Any] | QuestionSample[Any]


class Shard:
    """Part i of n of a sequence (every n-th sample), after the limit."""

    def __init__(self, samples: Sequence[Sample], limit: int | None, part: int, parts: int) -> None:
        self._samples = samples
        self._indices = range(part, min(len(samples), limit or len(samples)), parts)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[self._indices[index]]


class Run:
    """The samples of a shard through a predictor, `concurrency` at a time."""

    def __init__(
        self, samples: Shard, predictor: Predictor, scorer: Scorer, journal: Journal, concurrency: int
    ) -> None:
        self.samples = samples
        self.predictor = predictor
        self.scorer = scorer
        self.journal = journal
        self.concurrency = concurrency
        self._scored = 0
        self._in_a_row = 0

    def run(self) -> Outcome:
        """Go through all samples; those with a prediction from an earlier run are only scored.

        Raises what makes going on useless: weights or settings that do not work, a backend that cannot be used at all,
        and the last error when `FAILURES_IN_A_ROW` samples have failed.
        """
        started = time.monotonic()
        asyncio.run(self._all())
        return Outcome(
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
            if prediction is None or not _answers(prediction, sample):
                prediction = await self.predictor(sample)
                self.journal.keep(sample.key, prediction)
            self.scorer.update(sample, prediction)
        except Exception as error:
            self._fail(sample, error)
        else:
            self._scored += 1
            self._in_a_row = 0

    def _fail(self, sample: Sample, error: Exception) -> None:
        """Count a failure, or give the run up."""
        unusable = getattr(error, "fatal", False) and not self._scored
        self._in_a_row += 1
        if isinstance(error, CheckpointError | ConfigError) or unusable:
            raise error
        if not isinstance(error, Sam3Error):
            log.warning("%s: unexpected failure", sample.key, exc_info=error)
        self.journal.fail(sample.key, error)
        if self._in_a_row >= FAILURES_IN_A_ROW:
            raise Sam3Error(f"{self._in_a_row} samples in a row have failed, the last one with: {error}") from error


def _answers(prediction: Prediction, sample: Sample) -> bool:
    """Whether a kept prediction is about what is asked now."""
    if isinstance(sample, PhraseSample):
        return getattr(prediction, "phrases", None) == sample.phrases
    return getattr(prediction, "question", None) == sample.question
