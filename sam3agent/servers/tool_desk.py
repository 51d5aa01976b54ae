"""Calls of tools and questions on open images, for any client, none of which holds up another.

Everything waits on the event loop: for an image to be opened, for a turn on the masks of an image, for a question to
begin. Only work that computes runs on threads, and nothing waits on those.
"""

import asyncio
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sam3agent.answer import Answer, Selection, fresh_folder
from sam3agent.api import Agent, saved
from sam3agent.deadlines import within
from sam3agent.downloads import source_stem
from sam3agent.knowledge import knowledge_of
from sam3agent.pool import MaskPool
from sam3agent.servers.confined_files import ConfinedFile, Roots
from sam3agent.servers.fair_lane import FairLane
from sam3agent.servers.jobs import Job, Jobs
from sam3agent.servers.mcp_replies import Reply, ToolReply, ask_reply
from sam3agent.servers.open_images import MaskBoard, MaskBoards, OpenImage, OpenImages
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.stoppable_clip import stoppable
from sam3agent.servers.written_paths import PastedImage, ResultName, read_path
from sam3agent.states import Selected
from sam3agent.tools.registry import Tool, ToolResult
from sam3agent.workbench import Report, Workbench
from sam3model.errors import InputError, OutputError, Sam3Error

log = logging.getLogger(__name__)

LOOKING_AT_ONCE = 2
"""Number of tools that only look, and of replies, that are worked on at once. More would only slow each other down."""

SEARCHES_AT_ONCE = 1
"""Number of searches at once: one uses all cores."""

CLIPS_AT_ONCE = 1
"""Number of clips that are tracked at once."""

QUESTIONS_AT_ONCE = 8
"""Number of questions that are asked at once if an MLLM decides, which is mostly waited for; else one computes."""


def _ignore(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(eq=False)
class ToolDesk:
    """What every call of a server needs."""

    agent: Agent
    roots: Roots
    results: ResultFolder
    jobs: Jobs = field(default_factory=Jobs)

    def __post_init__(self) -> None:
        self.images = OpenImages(self.agent.segmenter, self.open_file)
        self.boards = MaskBoards()
        self.looking = FairLane(LOOKING_AT_ONCE)
        self.searching = FairLane(SEARCHES_AT_ONCE)
        self.tracking = FairLane(CLIPS_AT_ONCE)
        self._asking = asyncio.Semaphore(1 if self.agent.backend.free else QUESTIONS_AT_ONCE)

    def open_file(self, written: str) -> ConfinedFile:
        """The file that a caller names, opened. Raises `InputError` if it may not or cannot be read."""
        return self.roots.open(self._located(written))

    def short_name(self, written: str) -> str:
        """How replies name the image of a call: as it was written, or a pasted one by its file."""
        pasted = written.lstrip()[:5].lower() == "data:"
        return self.results.address(self._located(written)) if pasted else written

    async def use(
        self, tool: Tool[Any], client: str, image: str, arguments: dict[str, Any], job: Job | None = None
    ) -> Reply:
        """One call of a registry tool on an image or clip. Raises `Sam3Error` for mistakes of the caller."""
        opened = await self.images.get(image)
        board = self.boards.get(client, opened.key)
        name = self.short_name(image)

        def reply(result: ToolResult) -> Reply:
            return self._reply(opened, name, tool, result)

        if not tool.edits:  # it need not wait for those who change the masks
            bench = self._bench(opened, board.pool, None)

            def looked() -> tuple[ToolResult, Reply]:
                result = tool.call(bench, arguments)
                return result, reply(result)

            async with self.looking.slot(opened.key):
                result, said = await within(None, looked)
            board.pool = board.pool.on_paths_of(result.pool)  # what it measured is not measured again
            return said
        lane = self.tracking if takes_long(tool) else self.searching
        async with board.turn, lane.slot(opened.key):
            if job:
                job.begin()
            result = await within(None, tool.call, self._bench(opened, board.pool, job), arguments)
            board.pool = result.pool
        return reply(result)

    async def ask(self, client: str, image: str, question: str, job: Job) -> Reply:
        """One question on an image; its masks join those that the client has of the image."""
        async with self._asking:  # in the order in which they came
            job.begin()
            opened = await self.images.get(image)
            media = stoppable(opened.media, job.check)
            with self._folder(f"{source_stem(opened.path)}-{_slug(question)}") as (folder, problem):
                answer = await self.agent.aask(
                    media, question, out=folder, tell=job.tell, save=False, session=opened.session
                )
                if answer.failed:
                    raise Sam3Error(answer.reason)
                board = self.boards.get(client, opened.key)
                async with board.turn:
                    answer = _adopt(opened, board, answer)
                if folder:
                    answer = await within(None, saved, answer, folder, Path(opened.path).name)
                else:
                    answer = replace(answer, warnings=(*answer.warnings, problem))
        return ask_reply(self.short_name(image), answer)

    def _located(self, written: str) -> Path:
        """The path that a caller means; a pasted image is kept as a file first."""
        match read_path(written):
            case PastedImage(data):
                return self.results.keep_pasted(data)
            case ResultName(name):
                return self.results.path(name)
            case path:
                return path

    def _bench(self, opened: OpenImage, pool: MaskPool, job: Job | None) -> Workbench:
        media = stoppable(opened.media, job.check) if job else opened.media
        return Workbench(
            media,
            opened.session,
            pool,
            threshold=self.agent.threshold,
            tracker=self.agent.tracker,
            report=_frame_report(job) if job else _ignore,
        )

    def _reply(self, opened: OpenImage, image: str, tool: Tool[Any], result: ToolResult) -> Reply:
        """The reply of a tool, with the files of a selection and what to know about the weights."""
        files = dict[str, Any]()
        if isinstance(result.event, Selected):
            files = self.selection_files(opened, result.pool, result.event.ids, result.event.reason)
        notice = knowledge_of(opened.session).notice if tool.cost == "segmenter" else ""
        warnings = [*files.pop("warnings", ()), *([notice] if notice else [])]
        data = ToolReply(image=image, **{**files, **result.data, **({"warnings": warnings} if warnings else {})})
        text = "\n".join([result.text, *(f"Warning: {warning}" for warning in warnings)])
        return Reply(data, text, result.images)

    def selection_files(self, opened: OpenImage, pool: MaskPool, ids: Sequence[int], reason: str) -> dict[str, Any]:
        """Write the files of a selection. A disk or folder that is full costs the files, not the selection."""
        selection = Selection.from_pool(opened.media, pool, ids)
        path = Path(opened.path)
        try:
            self.results.check_room()
            with fresh_folder(self.results.folder, f"{source_stem(opened.path)}-selection") as folder:
                files = selection.save(folder, path.name, reason or "selection").files
        except (InputError, OutputError) as error:
            log.warning("the files of a selection are not kept: %s", error)
            return {"warnings": [f"the files of the selection are not kept: {error}"]}
        return {"masks_file": str(files.masks), "overlay_file": str(files.overlay)} if files else {}

    @contextmanager
    def _folder(self, name: str) -> Iterator[tuple[Path | None, str]]:
        """A new folder for the files of an answer; None, and why, if they cannot be kept."""
        folder, problem = None, ""
        with ExitStack() as stack:
            try:
                self.results.check_room()
                folder = stack.enter_context(fresh_folder(self.results.folder, name))
            except (InputError, OutputError) as error:
                log.warning("the files of an answer are not kept: %s", error)
                problem = f"the files of the answer are not kept: {error}"
            yield folder, problem


def takes_long(tool: Tool[Any]) -> bool:
    """Whether a call of a tool may take minutes: it follows objects through a clip."""
    return tool.needs_clip and tool.cost == "segmenter"


def _frame_report(job: Job) -> Report:
    """Tells a job how many frames are done."""
    return lambda done, total: job.report(done, total, f"{done} of {total} frames")


def _adopt(opened: OpenImage, board: MaskBoard, answer: Answer) -> Answer:
    """The answer with its masks under ids of the client's masks of the image, where other tools find them."""
    pool, ids = board.pool, list[int]()
    for mask in answer.masks:
        pool, found = pool.add(mask.phrase, [(mask.masklet, mask.score)])
        ids += found
    board.pool = pool
    return replace(answer, selection=Selection.from_pool(opened.media, pool, tuple(dict.fromkeys(ids))))


def _slug(words: str) -> str:
    """Words as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:48] or "question"
