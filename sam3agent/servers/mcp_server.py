"""The tools over MCP: the registry's own definitions, each with its image or clip as an argument, and `ask`."""

import asyncio
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from sam3agent.answer import Answer, Selection, fresh_folder
from sam3agent.api import Agent, saved
from sam3agent.config import Settings
from sam3agent.knowledge import knowledge_of
from sam3agent.prompts import render
from sam3agent.servers.mcp_replies import AskReply, ToolReply, ask_result, call_result
from sam3agent.sessions import OpenImage, Roots, Sessions
from sam3agent.states import Selected
from sam3agent.tools.registry import Tool, all_tools
from sam3agent.workbench import Report
from sam3model.errors import InputError, OutputError, Sam3Error
from sam3model.printable import printable

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.25
"""Minimum time between two progress reports of a call."""

OUT = Path("sam3agent-out")
"""Default output folder, below the working directory."""

ImagePath = Annotated[str, Field(description="Path of the image or clip, inside a folder that this server may read.")]
Question = Annotated[str, Field(description='What to find, in plain words: "leftmost player in white".')]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every tool of a server needs."""

    agent: Agent
    sessions: Sessions
    roots: Roots
    out: Path

    def use(self, tool: Tool[Any], image: str, arguments: dict[str, Any], report: Report) -> "CallToolResult":
        """One call of a registry tool on an image or clip."""
        with _tool_errors(), self.sessions.image(self.roots.resolve(image)) as opened:
            result = tool.call(replace(opened.bench, report=report), arguments)
            opened.keep(result.pool)
            files = self._files(opened, result.event) if isinstance(result.event, Selected) else {}
            notice = knowledge_of(opened.bench.session).notice if tool.cost == "segmenter" else ""
            data = {**files, **result.data, **({"warnings": [notice]} if notice else {})}
            reply = ToolReply(image=image, **data)
            text = f"{result.text}\nWarning: {notice}" if notice else result.text
            return call_result(reply, text, result.images)

    def ask(self, image: str, question: str, tell: Callable[[str], None]) -> "CallToolResult":
        """One question on an image that is encoded already; its masks join the image's pool.

        Called on a worker thread. The question itself runs on the server's event loop, so that it ends when the request
        is cancelled, and connections to an MLLM are reused.
        """
        import anyio.from_thread

        with _tool_errors(), self.sessions.image(self.roots.resolve(image)) as opened:
            media, session = opened.bench.media, opened.bench.session
            with fresh_folder(self.out, f"{opened.path.stem}-{_slug(question)}") as folder:
                work = partial(self.agent.aask, media, question, out=folder, tell=tell, save=False, session=session)
                answer = _adopt(opened, anyio.from_thread.run(work))
                if answer.failed:
                    raise Sam3Error(answer.reason)
                return ask_result(image, saved(answer, folder, opened.path.name))

    def _files(self, opened: OpenImage, event: Selected) -> dict[str, str]:
        """Write the files of a selection."""
        selection = Selection.from_pool(opened.bench.media, opened.bench.pool, event.ids)
        try:
            with fresh_folder(self.out, f"{opened.path.stem}-selection") as folder:
                files = selection.save(folder, opened.path.name, event.reason or "selection").files
        except (InputError, OutputError) as error:  # a disk that is full must not cost the selection
            log.warning("the files of a selection are not kept: %s", error)
            return {}
        return {"masks_file": str(files.masks), "overlay_file": str(files.overlay)} if files else {}


def build_server(settings: Settings, *, roots: Sequence[str | Path] = (), agent: Agent | None = None) -> "MCPServer":
    """An MCP server over the agent of the settings, or over the given one.

    roots: folders that may be read, by default the working directory; the output folder is always included.

    Raises `InputError` if a root is not a folder.
    """
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    agent = agent or Agent.from_settings(settings)
    for root in roots:
        if not Path(root).expanduser().is_dir():
            raise InputError(f"--root {root} is not a folder")
    out = (settings.out or OUT).expanduser().resolve()
    readable = Roots([*(roots or (Path.cwd(),)), out])
    desk = _Desk(agent, Sessions(agent.segmenter, agent.tracker, threshold=agent.threshold), readable, out)
    server = MCPServer("sam3agent", instructions=render("mcp_server"), version=_version(), log_level="WARNING")
    harmless = ToolAnnotations(destructive_hint=False, open_world_hint=False)
    server.add_tool(_ask_tool(desk), annotations=harmless)
    for tool in all_tools().values():
        if tool.served:
            server.add_tool(_served(tool, desk), description=tool.description, annotations=harmless)
    return server


def serve(
    settings: Settings,
    *,
    roots: Sequence[str | Path] = (),
    transport: Literal["stdio", "streamable-http"] = "stdio",
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """Serve until the client disconnects. Over stdio, only the protocol writes to standard output."""
    server = build_server(settings, roots=roots)
    if transport == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host=host, port=port)


def _ask_tool(desk: _Desk) -> Callable[..., Any]:
    """The tool `ask`: the whole agent as one call, with progress reports."""
    import anyio.to_thread
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult

    async def ask(image: ImagePath, question: Question, ctx: Context) -> Annotated[CallToolResult, AskReply]:
        """Answer a question about an image with masks: finds candidates, examines each, and selects.

        Understands position, order, count, size, colour and "except". The status is answered, no_match (nothing in
        the image matches), not_understood (the question cannot be read; nothing is claimed about the image) or
        exhausted (a budget ran out; the masks are the best answer so far). Read the warnings.
        """
        return await anyio.to_thread.run_sync(desk.ask, image, question, _Progress(ctx))

    return ask


class _Progress:
    """Forwards the agent's status lines to the client, in order."""

    def __init__(self, ctx: "Context") -> None:
        self._ctx = ctx
        self._loop = asyncio.get_running_loop()
        self._done = 0

    def __call__(self, line: str) -> None:
        self._done += 1
        asyncio.run_coroutine_threadsafe(self._ctx.report_progress(self._done, None, line), self._loop)


def _frame_report(name: str, ctx: "Context") -> Report:
    """Forwards how many frames are done, a few times a second; ends the work if the request was cancelled.

    Called on a worker thread of the server.
    """
    import anyio.from_thread

    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        anyio.from_thread.check_cancelled()
        now = time.monotonic()
        if done < total and now - last < REPORT_SECONDS:
            return
        last = now
        anyio.from_thread.run(ctx.report_progress, done, total, f"{name}: {done} of {total} frames")

    return report


def _served(tool: Tool[Any], desk: _Desk) -> Callable[..., Any]:
    """A registry tool as a function that MCP can register: its own schema, with `image` in front.

    The SDK gets the schema and passes any value on, so that arguments are validated in one place, the registry.
    """
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult

    def call(image: str, ctx: Context, **arguments: Any) -> CallToolResult:
        given = {name: value for name, value in arguments.items() if value is not None}
        return desk.use(tool, image, given, _frame_report(tool.name, ctx))

    schema = tool.schema.parameters
    keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    parameters = [keyword("image", annotation=ImagePath)]
    for name, shape in schema.get("properties", {}).items():
        optional = shape["default"] if "default" in shape else Field(default_factory=lambda: None)
        default = inspect.Parameter.empty if name in schema.get("required", ()) else optional
        parameters.append(keyword(name, annotation=Annotated[Any, WithJsonSchema(dict(shape))], default=default))
    signature = inspect.Signature(parameters, return_annotation=Annotated[CallToolResult, ToolReply])
    call.__name__ = tool.name
    call.__dict__["__signature__"] = signature
    return call


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Report our own errors as tool errors with their message; any other exception is left to the SDK."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except Sam3Error as error:
        raise ToolError(printable(error)) from error


def _adopt(opened: OpenImage, answer: Answer) -> Answer:
    """The answer with its masks under ids of the image's pool, where other tools find them."""
    pool, ids = opened.bench.pool, list[int]()
    for mask in answer.masks:
        pool, found = pool.add(mask.phrase, [(mask.masklet, mask.score)])
        ids += found
    opened.keep(pool)
    selection = Selection.from_pool(opened.bench.media, pool, tuple(dict.fromkeys(ids)))
    return replace(answer, selection=selection)


def _version() -> str:
    try:
        return version("sam3agent")
    except PackageNotFoundError:
        return "checkout"


def _slug(words: str) -> str:
    """Words as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:48] or "question"
