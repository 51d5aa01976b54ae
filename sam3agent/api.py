"""The Python API: `Agent` keeps weights and backend between questions, `ask` is one question in one line."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sam3agent.absence import absence_of
from sam3agent.agent.budget import Budget, Ledger
from sam3agent.agent.loop import AgentLoop
from sam3agent.agent.policy import Policy, policy_of
from sam3agent.agent.recorded import usual_policy
from sam3agent.agent.trace import VERSION, Trace, reply_record
from sam3agent.agent.transitions import Limits
from sam3agent.answer import Answer, Costs, Selection, make_folder
from sam3agent.config import Settings, load_settings
from sam3agent.deadlines import within
from sam3agent.images import read_source, source_name
from sam3agent.knowledge import knowledge_of
from sam3agent.local_model import LocalModel
from sam3agent.media import ClipMedia, Media, damage_of, holds_clip, media_remarks, open_media
from sam3agent.mllm.base import MLLM, MLLMReply
from sam3agent.segmenter import ClosableSession, LocalSegmenter, Segmenter, SegmenterSession
from sam3agent.states import Answered, Exhausted, FinalState, NoMatch, NotUnderstood, Story
from sam3agent.tools.track_lines import spans_of
from sam3agent.tracker import LocalTracker, ObjectTracker
from sam3agent.workbench import Report, Workbench
from sam3model.errors import InputError, OutputError

if TYPE_CHECKING:
    from PIL import Image

    Source = str | Path | bytes | Image.Image | Media

log = logging.getLogger(__name__)

REPORT_SECONDS = 2.0
"""Time between two reports of how many frames are done."""

MAX_QUESTION = 4000
"""Maximum length of a question in characters."""

T = TypeVar("T")
Tell = Callable[[str], None]


class Agent:
    """A segmenter and a backend that answer questions about images.

    Args:
        segmenter: finds masks; by default sam3-tiny in this process.
        tracker: follows objects through clips; by default the weights of the segmenter.
        backend: makes decisions; by default `rules`, which needs no MLLM.
        budget: maximum cost of one question.
        limits: maximum numbers of unusable replies in a row, and of rounds.
        threshold: minimum mask score; None for the segmenter's default.
        policy: where looks go; by default that of a recorded question, else the usual one of the kind of backend.
    """

    def __init__(
        self,
        segmenter: Segmenter | None = None,
        backend: MLLM | None = None,
        budget: Budget | None = None,
        limits: Limits | None = None,
        threshold: float | None = None,
        tracker: ObjectTracker | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.segmenter = segmenter or LocalSegmenter(model=LocalModel(for_clips=True))
        shared = self.segmenter.model if isinstance(self.segmenter, LocalSegmenter) else None
        self.tracker = tracker or LocalTracker(self.segmenter.name, model=shared)
        self.backend = backend or make_backend(Settings())
        self.budget = budget or Budget()
        self.limits = limits or Limits()
        self.threshold = threshold
        self.policy = usual_policy(self.backend, policy)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Agent":
        """An agent as configured; nothing is loaded or connected before the first question."""
        model = LocalModel(settings.weights, settings.device, settings.dtype, for_clips=True)
        return cls(
            segmenter=make_segmenter(settings, model),
            backend=make_backend(settings),
            budget=Budget(settings.max_calls, settings.max_segmenter_calls, settings.max_seconds),
            threshold=settings.threshold,
            tracker=make_tracker(settings, model),
            policy=policy_of(settings.effort, settings.without, settings.eyesight),
        )

    def ask(
        self,
        image: "Source",
        query: str,
        *,
        out: Path | None = None,
        tell: Tell | None = None,
        started: float | None = None,
    ) -> Answer:
        """Answer a question about an image.

        Args:
            image: a path, "-" for standard input, encoded bytes, a Pillow image, or a `Media`. A folder is a clip, with
                an image per frame. On a clip, objects are tracked, and the answer's masks are masklets; what they do
                over time can be asked about.
            query: the question in plain words.
            out: folder for overlay.png, masks.json, trace.jsonl and its images; None to write nothing.
            tell: receives a line of text whenever something happens.
            started: when the budget of time began, in seconds of `time.monotonic`; by default now.

        Raises:
            InputError: the image cannot be read, or the question is empty or too long.
            CheckpointError: the weights cannot be loaded.
            MLLMError: the backend is unusable in the first call.
        """
        return run_to_end(self._ask_and_close(image, query, out, tell, started))

    async def aask(
        self,
        image: "Source",
        query: str,
        *,
        out: Path | None = None,
        tell: Tell | None = None,
        save: bool = True,
        session: SegmenterSession | None = None,
        started: float | None = None,
    ) -> Answer:
        """`ask` for callers on an event loop; the segmenter runs on another thread.

        save: if False, overlay.png and masks.json are left to the caller; the trace is written in any case.
        session: an open session on the image, if there is one.
        """
        query = _readable(query)
        ledger = Ledger(self.budget, started=started)
        source, media = _open(image)
        tell = tell or log.info
        for remark in media_remarks(media) if media.count == 1 else ():
            tell(remark)
        unreadable = self.backend.unreadable(query, clip=media.count > 1)
        own = None
        if not unreadable and session is None:
            session = own = await self._opened(media, ledger, tell)
        trace = Trace(make_folder(out) if out else None)
        try:
            await within(None, self._record_start, trace, query, source, media)
            if unreadable:
                _record_refusal(trace, unreadable)
                answer = self._answer(query, media, NotUnderstood(Story(query), unreadable), ledger)
            elif session is None:
                reason = f"{ledger.overtime()} by loading the weights and encoding the image; raise --max-seconds"
                answer = self._answer(query, media, Exhausted(Story(query), (), reason), ledger)
            else:
                report = _frame_report(tell)
                bench = Workbench(media, session, threshold=self.threshold, tracker=self.tracker, report=report)
                spent = ledger, self.limits, trace, tell
                asked = AgentLoop(query, bench, self.backend, *spent, policy=self.policy)
                answer = await self._concluded(await asked.run(), bench, query, ledger)
            _record_end(trace, answer)
        finally:
            trace.close()
            if isinstance(own, ClosableSession):
                own.close()
        answer = replace(answer, trace_path=trace.path)
        return saved(answer, out, _file_name(image)) if out and save else answer

    async def _opened(self, media: Media, ledger: Ledger, tell: Tell) -> SegmenterSession | None:
        """A session on a medium; None if the time of the question is over before it is open."""
        width, height = media.size
        what = "image" if media.count == 1 else f"first of {media.count} frames"
        tell(f"encoding the {what} ({width}x{height}) with {self.segmenter.name}")
        try:
            return await within(ledger.seconds_left, self.segmenter.open, media)
        except TimeoutError:
            return None

    async def _concluded(self, end: FinalState, bench: Workbench, query: str, ledger: Ledger) -> Answer:
        """The answer of a final state, with what it rests on and what to know about it."""
        absence = None
        if isinstance(end, NoMatch):
            try:
                absence = await within(ledger.seconds_left, absence_of, end.story, bench)
            except TimeoutError:
                absence = absence_of(end.story, bench, look_below=False)
        notice = knowledge_of(bench.session).notice
        answer = self._answer(query, bench.media, end, ledger)
        one = bench.media.count == 1
        pages = media_remarks(bench.media) if one else damage_of(bench.media)  # the reason says what was searched
        warnings = (*pages, *ledger.warnings, *filter(None, [notice]))
        return replace(answer, warnings=tuple(dict.fromkeys(warnings)), absence=absence)

    async def _ask_and_close(
        self, image: "Source", query: str, out: Path | None, tell: Tell | None, started: float | None
    ) -> Answer:
        """One question on its own event loop; connections cannot outlive the loop, so they are closed with it."""
        try:
            return await self.aask(image, query, out=out, tell=tell, started=started)
        finally:
            await self.backend.close()

    def open(self, media: Media) -> Workbench:
        """A workbench over a medium, for using the tools one by one."""
        return Workbench(media, self.segmenter.open(media), threshold=self.threshold, tracker=self.tracker)

    def _answer(self, query: str, media: Media, end: FinalState, ledger: Ledger) -> Answer:
        costs = Costs(ledger.mllm_calls, ledger.segmenter_calls, ledger.elapsed, ledger.steps, ledger.usage)
        remark = _searched_part(end.story.seen_frames, media.count)
        return Answer(
            query=query,
            status=end.status,
            reason="; ".join(part for part in (end.reason, remark) if part),
            selection=Selection.from_pool(media, end.story.pool, end.ids),
            costs=costs,
            weights=self.segmenter.name,
            backend=self.backend.name,
            confidence=end.confidence if isinstance(end, Answered | NoMatch) else None,
            failed=isinstance(end, Exhausted) and not self.backend.free and not ledger.usable,
            interrupted=isinstance(end, Answered | Exhausted) and end.interrupted,
        )

    def _record_start(self, trace: Trace, query: str, source: "bytes | Image.Image | Media", media: Media) -> None:
        """The start record, with a copy of the image, or of the first frame of a clip, beside it."""
        if trace.folder is None:
            return
        name = "image" if isinstance(source, bytes) else "image.png"
        if isinstance(source, bytes):
            trace.copy(name, lambda path: path.write_bytes(source))
        else:
            trace.copy(name, lambda path: media.frame(0).save(path, compress_level=1))
        width, height = media.size
        trace.record(
            "start",
            version=VERSION,
            query=query,
            image=name,
            clip=str(Path(media.name).resolve()) if isinstance(media, ClipMedia) else None,
            width=width,
            height=height,
            weights=self.segmenter.name,
            backend=self.backend.name,
            threshold=self.threshold,
            budget=[self.budget.mllm_calls, self.budget.segmenter_calls, self.budget.seconds],
            policy=asdict(self.policy),
        )


def ask(image: "Source", query: str, *, out: Path | None = None, **settings: Any) -> Answer:
    """One question, with settings as keywords: `ask("match.png", "leftmost player in white", weights="tiny")`."""
    return Agent.from_settings(load_settings(settings)).ask(image, query, out=out)


def make_segmenter(settings: Settings, model: LocalModel | None = None) -> Segmenter:
    """The segmenter of the settings; its weights are loaded with the first image. `model`: one to share."""
    return LocalSegmenter(settings.weights, settings.device, settings.dtype, model=model)


def make_tracker(settings: Settings, model: LocalModel | None = None) -> ObjectTracker:
    """The tracker of the settings; its weights are loaded with the first clip. `model`: one to share."""
    return LocalTracker(settings.weights, settings.device, settings.dtype, model=model)


def make_backend(settings: Settings) -> MLLM:
    """The backend of the settings."""
    if settings.backend == "rules":
        from sam3agent.rules import RulesBackend

        return RulesBackend()
    if settings.backend == "vllm":
        from sam3agent.mllm.vllm import VLLMBackend

        return VLLMBackend.from_settings(settings)
    from sam3agent.mllm.openai import OpenAIBackend

    return OpenAIBackend.from_settings(settings)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from synchronous code; inside a running event loop (a notebook), on a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _readable(query: str) -> str:
    """A question as one line of text. Raises `InputError` if it is empty or too long."""
    query = " ".join(query.encode("utf-8", "replace").decode("utf-8").split())
    if not query:
        raise InputError("the question is empty")
    if len(query) > MAX_QUESTION:
        raise InputError(f"the question has {len(query)} characters; at most {MAX_QUESTION} are read: shorten it")
    return query


def _open(image: "Source") -> "tuple[bytes | Image.Image | Media, Media]":
    """What a trace keeps of a source, and its frames. A clip is read frame by frame, an image file at once."""
    if not isinstance(image, str | Path):
        return image, open_media(image)
    if holds_clip(image):
        clip = open_media(image)
        return clip, clip
    data = read_source(image)
    return data, open_media(data, source_name(image))


def saved(answer: Answer, folder: Path, file_name: str) -> Answer:
    """The answer with its files; without them, and with a warning, if they cannot be written."""
    try:
        return answer.save(folder, file_name)
    except OutputError as error:
        remark = f"the files of the answer are not kept: {error}"
        log.warning(remark)
        return replace(answer, warnings=(*answer.warnings, remark))


def _frame_report(tell: Tell) -> Report:
    """Tells how many frames are done, every few seconds; a clip may take minutes."""
    told = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal told
        if done < total and time.monotonic() - told >= REPORT_SECONDS:
            told = time.monotonic()
            tell(f"{done} of {total} frames")

    return report


def _searched_part(frames: frozenset[int], count: int) -> str:
    """Which part of a clip was searched, in words; empty if all of it or nothing was."""
    if not 0 < len(frames) < count:
        return ""
    part = f"the first of {count} frames" if frames == {0} else spans_of(frames)
    return f"only {part} {'was' if len(frames) == 1 else 'were'} searched"


def _record_refusal(trace: Trace, why: str) -> None:
    """The reply of a backend that cannot read the question, so that the question can be run again."""
    trace.record("reply", state="Generate", candidate=None, **reply_record(MLLMReply(calls=0, not_understood=why)))


def _record_end(trace: Trace, answer: Answer) -> None:
    summary = {key: value for key, value in answer.to_json().items() if key not in ("masks", "overlay", "trace")}
    below = {"looked_below": answer.absence.looked_below} if answer.absence else {}
    trace.record("end", **summary, **below, steps=answer.costs.steps, ids=[mask.id for mask in answer.masks])


def _file_name(image: "Source") -> str:
    """The image's name in a COCO file."""
    return Path(image).name if isinstance(image, str | Path) else "image"
