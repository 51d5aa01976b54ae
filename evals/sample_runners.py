"""Runners predict samples: the segmenter for phrases, the agent for questions. `evals.video` has one for videos."""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, assert_never

from evals.asked_agent import ask_agent
from evals.benchmark_types import PhraseBenchmark, QuestionBenchmark
from evals.plain_text import short_line, slug
from evals.rle_masks import stacked
from evals.samples import (
    Detection,
    PhrasePrediction,
    PhraseSample,
    Prediction,
    QuestionPrediction,
    QuestionSample,
    Rle,
    Sample,
)
from sam3agent.agent.budget import Budget
from sam3agent.agent.policy import Policy, policy_of
from sam3agent.answer import Answer, SelectedMask
from sam3agent.api import Agent, make_backend
from sam3agent.media import ImageMedia, Media
from sam3agent.mllm.base import MLLM
from sam3agent.segmenter import FoundInstances, LocalSegmenter, Segmenter, SegmenterSession
from sam3agent.tracker import LocalTracker, ObjectTracker

if TYPE_CHECKING:
    from sam3agent.config import Settings

SampleT_contra = TypeVar("SampleT_contra", bound=Sample, contravariant=True)


class SampleRunner(Protocol[SampleT_contra]):
    """Predicts samples of one kind. system: name in the result tables, e.g. "tiny + rules"."""

    system: str

    async def __call__(self, sample: SampleT_contra) -> Prediction:
        """Predict a sample; any exception counts as a failed sample."""
        ...


def make_runner(
    benchmark: PhraseBenchmark | QuestionBenchmark,
    segmenter: Segmenter,
    settings: "Settings",
    folder: Path,
    backend: MLLM | None = None,
    keep_images: bool = False,
    threshold: float | None = None,
    tracker: ObjectTracker | None = None,
) -> SampleRunner[Any]:
    """The runner for a benchmark's kind of samples.

    backend: default from the settings; folder: where traces go. threshold: minimum score of phrases instead of the
    benchmark's; for questions, that of the settings counts. tracker: default that of the segmenter's weights.
    """
    match benchmark:
        case PhraseBenchmark():
            return PhraseRunner(SharedEncodings(segmenter, 1), threshold or benchmark.threshold)
        case QuestionBenchmark():
            budget = Budget(settings.max_calls, settings.max_segmenter_calls, settings.max_seconds)
            backend = backend or make_backend(settings)
            shared, tracker = SharedEncodings(segmenter), tracker or tracker_of(segmenter)
            policy, threshold = policy_of(settings.effort, settings.without, settings.eyesight), settings.threshold
            return QuestionRunner(shared, backend, budget, folder, keep_images, threshold, tracker, policy)
        case _:
            assert_never(benchmark)


class PhraseRunner:
    """Segments all phrases of an image with one encoding."""

    def __init__(self, segmenter: Segmenter, threshold: float) -> None:
        self.system = segmenter.name
        self.segmenter = segmenter
        self.threshold = threshold

    async def __call__(self, sample: PhraseSample[Any]) -> PhrasePrediction:
        """The detections of every phrase."""
        return await asyncio.to_thread(self._segment, sample)

    def _segment(self, sample: PhraseSample[Any]) -> PhrasePrediction:
        session = self.segmenter.open(ImageMedia(sample.open_image()))
        results = session.segment_phrases(sample.phrases, self.threshold) if sample.phrases else ()
        return PhrasePrediction(sample.phrases, tuple(_detections(result) for result in results))


class QuestionRunner:
    """Asks the agent, and keeps a trace of every question.

    keep_images: see `ask_agent`. threshold: minimum score of a mask, None for the agent's default.
    tracker: for questions about clips.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        backend: MLLM,
        budget: Budget,
        folder: Path,
        keep_images: bool = False,
        threshold: float | None = None,
        tracker: ObjectTracker | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.policy = policy
        self.system = f"{segmenter.name} + {backend.name}"
        self.tracker = tracker
        self.segmenter = segmenter
        self.backend = backend
        self.budget = budget
        self.folder = folder
        self.keep_images = keep_images
        self.threshold = threshold

    async def __call__(self, sample: QuestionSample[Any]) -> QuestionPrediction:
        """The agent's answer. Raises the MLLM's error if it cut the answer short; the sample then counts as failed."""
        image = await asyncio.to_thread(sample.open_image)
        trace = f"traces/{slug(sample.key)}"
        how = {"threshold": self.threshold, "tracker": self.tracker, "policy": self.policy}
        agent = Agent(self.segmenter, self.backend, self.budget, **how)
        answer = await ask_agent(agent, image, sample.question, self.folder / trace, self.keep_images)
        media = answer.selection.media
        masks = tuple(Detection(mask.score, _xywh(mask.box), _rle(mask, media)) for mask in answer.masks)
        return question_prediction(answer, sample.question, trace, masks)


class SharedEncodings:
    """A segmenter that keeps the latest `capacity` sessions, so that questions about one image share its encoding.

    Safe to call from any thread if the sessions are.
    """

    def __init__(self, segmenter: Segmenter, capacity: int = 8) -> None:
        self.name = segmenter.name
        self._segmenter = segmenter
        self._capacity = capacity
        self._lock = threading.Lock()
        self._sessions: OrderedDict[tuple[tuple[int, int], bytes], SegmenterSession] = OrderedDict()

    def open(self, media: Media) -> SegmenterSession:
        """The session of an image with these pixels."""
        key = media.size, hashlib.blake2b(media.frame(0).tobytes(), digest_size=16).digest()
        with self._lock:
            session = self._sessions.pop(key, None) or self._segmenter.open(media)
            self._sessions[key] = session
            while len(self._sessions) > self._capacity:
                self._sessions.popitem(last=False)
        return session


def question_prediction(
    answer: Answer, question: str, trace: str, detections: tuple[Detection, ...] = ()
) -> QuestionPrediction:
    """How a question ended and what it cost. trace: its folder, relative to that of the run."""
    costs = answer.costs
    return QuestionPrediction(
        question=question,
        status=answer.status,
        size=_size(answer.selection.media),
        detections=detections,
        mllm_calls=costs.mllm_calls,
        segmenter_calls=costs.segmenter_calls,
        tokens=costs.usage.prompt_tokens + costs.usage.completion_tokens,
        trace=trace,
        reason=short_line(answer.reason),
        warnings=tuple(map(short_line, answer.warnings)),
        failed=answer.failed,
    )


def tracker_of(segmenter: Segmenter) -> ObjectTracker | None:
    """The tracker of the weights of a segmenter, loaded once for both; None for the agent's default."""
    return LocalTracker(model=segmenter.model) if isinstance(segmenter, LocalSegmenter) else None


def _size(media: Media) -> tuple[int, int]:
    """Height and width of an image, or of all frames of a clip one below the other."""
    width, height = media.size
    return height * media.count, width


def _rle(mask: SelectedMask, media: Media) -> Rle:
    if media.count == 1:
        return mask.rle
    width, height = media.size
    return stacked([mask.masklet.rle(t) for t in range(media.count)], (height, width))


def _detections(instances: FoundInstances) -> tuple[Detection, ...]:
    from sam3model.ops.masks import encode_rle

    rows = zip(instances.scores.tolist(), instances.boxes.tolist(), instances.masks, strict=True)
    return tuple(Detection(score, _xywh(box), encode_rle(mask)) for score, box, mask in rows)


def _xywh(box: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1 - x0, y1 - y0
