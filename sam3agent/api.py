"""The Python API: `Agent` keeps weights and backend between questions, `ask` is one question in one line."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sam3agent.agent.budget import Budget, Ledger
from sam3agent.agent.loop import Run
from sam3agent.agent.states import End
from sam3agent.agent.trace import Trace
from sam3agent.agent.transitions import Limits
from sam3agent.answer import Answer, make_folder, masks_of, status_of
from sam3agent.config import Settings, load_settings
from sam3agent.images import open_picture, read_source
from sam3agent.mllm.base import MLLM
from sam3agent.segmenter import LocalSegmenter, Segmenter
from sam3agent.tools.workbench import Workbench
from sam3model.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
Tell = Callable[[str], None]


class Agent:
    """A segmenter and a backend that answer questions about pictures.

    Args:
        segmenter: what finds masks; by default sam3-tiny in this process.
        backend: what decides; by default `rules`, which needs no MLLM.
        budget: what one question may cost.
        limits: bad replies in a row, and rounds, that are allowed.
        threshold: least score of a mask; None: the segmenter's own.
    """

    def __init__(
        self,
        segmenter: Segmenter | None = None,
        backend: MLLM | None = None,
        budget: Budget | None = None,
        limits: Limits | None = None,
        threshold: float | None = None,
    ) -> None:
        self.segmenter = segmenter or LocalSegmenter()
        self.backend = backend or make_backend(Settings())
        self.budget = budget or Budget()
        self.limits = limits or Limits()
        self.threshold = threshold

    @classmethod
    def from_settings(cls, settings: Settings) -> "Agent":
        """An agent as configured; nothing is loaded or connected before the first question."""
        return cls(
            segmenter=make_segmenter(settings),
            backend=make_backend(settings),
            budget=Budget(settings.max_calls, settings.max_segmenter_calls, settings.max_seconds),
            threshold=settings.threshold,
        )

    def ask(
        self,
        image: "str | Path | bytes | Image.Image",
        query: str,
        *,
        out: Path | None = None,
        tell: Tell | None = None,
    ) -> Answer:
        """Answer a question about a picture.

        Args:
            image: a path, "-" for standard input, encoded bytes, or a Pillow picture.
            query: the question in plain words.
            out: folder for overlay.png, masks.json, trace.jsonl and its pictures; None writes nothing.
            tell: gets a line of plain words whenever something happens.

        Raises:
            InputError: the picture cannot be read, or the question is empty.
            CheckpointError: the weights cannot be loaded.
            MLLMError: the backend is unusable from the first call on.
        """
        return run_to_end(self._ask_and_close(image, query, out, tell))

    async def aask(
        self,
        image: "str | Path | bytes | Image.Image",
        query: str,
        *,
        out: Path | None = None,
        tell: Tell | None = None,
        save: bool = True,
    ) -> Answer:
        """`ask` for callers on an event loop; the segmenter works on another thread meanwhile.

        save: write overlay.png and masks.json; False leaves them to a caller who changes the answer first.
        """
        query = " ".join(query.encode("utf-8", "replace").decode("utf-8").split())
        if not query:
            raise InputError("the question is empty")
        started = time.monotonic()
        source = read_source(image) if isinstance(image, str | Path) else image
        picture = _named(image, source)
        if tell:
            tell(f"encoding the picture ({picture.width}x{picture.height}) with {self.segmenter.name}")
        bench = await asyncio.to_thread(self.open, picture)
        trace = Trace(make_folder(out) if out else None)
        try:
            self._record_start(trace, query, source, picture)
            ledger = Ledger(self.budget)
            run = Run(query, bench, self.backend, ledger, self.limits, trace, *([tell] if tell else []))
            end = await run.run()
            answer = self._answer(query, picture, end, ledger, time.monotonic() - started)
            summary = {
                key: value for key, value in answer.to_json().items() if key not in ("masks", "overlay", "trace")
            }
            trace.record("end", **summary, ids=[mask.id for mask in answer.masks])
        finally:
            trace.close()
        answer = replace(answer, trace_path=trace.path)
        return answer.save(out, _file_name(image)) if out and save else answer

    async def _ask_and_close(self, image: Any, query: str, out: Path | None, tell: Tell | None) -> Answer:
        """One question on an event loop of its own: connections cannot outlive the loop, so they are closed with it."""
        try:
            return await self.aask(image, query, out=out, tell=tell)
        finally:
            if close := getattr(self.backend, "close", None):
                await close()

    def open(self, picture: "Image.Image") -> Workbench:
        """A bench over a picture, for using the tools one by one."""
        return Workbench(picture, self.segmenter.open(picture), threshold=self.threshold)

    def _answer(self, query: str, picture: "Image.Image", end: End, ledger: Ledger, elapsed: float) -> Answer:
        return Answer(
            query=query,
            status=status_of(end),
            reason=end.reason,
            masks=masks_of(end),
            picture=picture,
            mllm_calls=ledger.mllm_calls,
            segmenter_calls=ledger.segmenter_calls,
            elapsed_s=elapsed,
            usage=ledger.usage,
            steps=end.story.rounds + 1,
            weights=self.segmenter.name,
            backend=self.backend.name,
        )

    def _record_start(self, trace: Trace, query: str, source: Any, picture: "Image.Image") -> None:
        """The start record, with a copy of the picture beside it."""
        if trace.folder is None:
            return
        name = "picture" if isinstance(source, bytes) else "picture.png"
        if isinstance(source, bytes):
            (trace.folder / name).write_bytes(source)
        else:
            picture.save(trace.folder / name, compress_level=1)
        trace.record(
            "start",
            query=query,
            picture=name,
            width=picture.width,
            height=picture.height,
            weights=self.segmenter.name,
            backend=self.backend.name,
            threshold=self.threshold,
            budget=[self.budget.mllm_calls, self.budget.segmenter_calls, self.budget.seconds],
        )


def ask(image: "str | Path | bytes | Image.Image", query: str, *, out: Path | None = None, **settings: Any) -> Answer:
    """One question, with settings as keywords: `ask("match.png", "leftmost player in white", weights="tiny")`."""
    return Agent.from_settings(load_settings(settings)).ask(image, query, out=out)


def make_segmenter(settings: Settings) -> Segmenter:
    """The segmenter that the settings mean; its weights are loaded with the first picture."""
    return LocalSegmenter(settings.weights, settings.device, settings.dtype)


def make_backend(settings: Settings) -> MLLM:
    """The backend that the settings mean."""
    if settings.backend == "rules":
        from sam3agent.mllm.rules import RulesBackend

        return RulesBackend()
    if settings.backend == "vllm":
        from sam3agent.mllm.vllm import VLLMBackend

        return VLLMBackend.from_settings(settings)
    from sam3agent.mllm.openai import OpenAIBackend

    return OpenAIBackend.from_settings(settings)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from plain code; inside a running event loop (a notebook) on a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    results: list[T] = []
    failures: list[BaseException] = []

    def target() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _named(image: Any, source: Any) -> "Image.Image":
    """The opened picture; errors name the file as the user did."""
    name = str(image) if isinstance(image, str | Path) and image != "-" else None
    return open_picture(source, name=name or ("standard input" if image == "-" else None))


def _file_name(image: Any) -> str:
    """What a COCO file calls the picture."""
    return Path(image).name if isinstance(image, str | Path) else "picture"
