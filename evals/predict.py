"""What answers samples: the segmenter for phrases, the agent for questions."""

import asyncio
import hashlib
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.registry import Answered, Detection, Found, PhraseSample, QuestionSample
from sam3agent.agent.budget import Budget
from sam3agent.agent.trace import FILE_NAME as TRACE
from sam3agent.api import Agent
from sam3agent.mllm.base import MLLM, MLLMError, MLLMReply, MLLMRequest
from sam3agent.segmenter import InstancesLike, Prompt, Segmenter, SegmenterSession

if TYPE_CHECKING:
    from PIL import Image


class Predictor(Protocol):
    """Makes the prediction of a sample."""

    async def __call__(self, sample: Any) -> Found | Answered:
        """The prediction; whatever is raised counts as a failed sample."""
        ...


class PhrasePredictor:
    """All phrases of a picture on one encoding of it."""

    def __init__(self, segmenter: Segmenter, threshold: float) -> None:
        self.segmenter = segmenter
        self.threshold = threshold

    async def __call__(self, sample: PhraseSample[Any]) -> Found:
        """The detections of every phrase."""
        return await asyncio.to_thread(self._find, sample)

    def _find(self, sample: PhraseSample[Any]) -> Found:
        session = self.segmenter.open(sample.picture())
        results = session.segment_phrases(sample.phrases, self.threshold) if sample.phrases else ()
        return Found(sample.phrases, tuple(_detections(result) for result in results))


class QuestionPredictor:
    """The agent with a trace for every question.

    keep_pictures: what was looked at and an overlay of the answer, too, so that `sam3agent replay` can draw it again;
    about a megabyte a question.
    """

    def __init__(
        self, segmenter: Segmenter, backend: MLLM, budget: Budget, folder: Path, keep_pictures: bool = False
    ) -> None:
        self.segmenter = segmenter
        self.backend = backend
        self.budget = budget
        self.folder = folder
        self.keep_pictures = keep_pictures

    async def __call__(self, sample: QuestionSample[Any]) -> Answered:
        """Ask. An answer cut short because the MLLM failed raises that failure: it says nothing about the agent."""
        picture = await asyncio.to_thread(sample.picture)
        backend = _Witness(self.backend)
        trace = f"traces/{slug(sample.key)}"
        agent = Agent(self.segmenter, backend, self.budget)
        try:
            answer = await agent.aask(picture, sample.question, out=self.folder / trace)
        finally:
            if not self.keep_pictures:
                _keep_text(self.folder / trace)
        if answer.status == "exhausted" and backend.error is not None:
            raise backend.error
        detections = tuple(Detection(mask.score, _xywh(mask.box), mask.rle) for mask in answer.masks)
        usage = answer.usage
        return Answered(
            question=sample.question,
            status=answer.status,
            size=(answer.picture.height, answer.picture.width),
            detections=detections,
            mllm_calls=answer.mllm_calls,
            segmenter_calls=answer.segmenter_calls,
            tokens=usage.prompt_tokens + usage.completion_tokens,
            trace=trace,
        )


class EncodedOnce:
    """A segmenter that keeps the sessions of the latest pictures, so that many questions share one encoding.

    Its calls come from many threads and run one at a time: the segmenter has all the cores.
    """

    def __init__(self, segmenter: Segmenter, capacity: int = 8) -> None:
        self.name = segmenter.name
        self._segmenter = segmenter
        self._capacity = capacity
        self._lock = threading.Lock()
        self._sessions: OrderedDict[tuple[tuple[int, int], bytes], SegmenterSession] = OrderedDict()

    def open(self, image: "Image.Image") -> SegmenterSession:
        """The session of a picture with these pixels."""
        key = image.size, hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        with self._lock:
            session = self._sessions.pop(key, None) or _OneAtATime(self._segmenter.open(image), self._lock)
            self._sessions[key] = session
            while len(self._sessions) > self._capacity:
                self._sessions.popitem(last=False)
        return session


class _OneAtATime:
    def __init__(self, session: SegmenterSession, lock: threading.Lock) -> None:
        self._session = session
        self._lock = lock

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> Sequence[InstancesLike]:
        with self._lock:
            return self._session.segment_phrases(phrases, threshold)

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> InstancesLike:
        with self._lock:
            return self._session.segment_prompt(prompt, threshold)


class _Witness:
    """A backend that remembers whether its last reply was an error."""

    def __init__(self, backend: MLLM) -> None:
        self._backend = backend
        self.name = backend.name
        self.free = getattr(backend, "free", False)
        self.needs_messages = getattr(backend, "needs_messages", True)
        self.error: MLLMError | None = None

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        try:
            reply = await self._backend.decide(request)
        except MLLMError as error:
            self.error = error
            raise
        self.error = None
        return reply


def _keep_text(folder: Path) -> None:
    """Leave nothing but the trace's lines in its folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != TRACE:
            path.unlink()


def slug(key: str) -> str:
    """A key as the name of a folder; different keys stay different."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip(".-")[:80]
    return plain if plain == key else f"{plain}-{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"


def _detections(found: InstancesLike) -> tuple[Detection, ...]:
    from sam3model.ops.masks import encode_rle

    rows = zip(found.scores.tolist(), found.boxes.tolist(), found.masks, strict=True)
    return tuple(Detection(score, _xywh(box), encode_rle(mask)) for score, box, mask in rows)


def _xywh(box: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return x0, y0, x1 - x0, y1 - y0
