"""The tools over MCP: the registry's own definitions, each with the picture that it works on, and `ask` beside them."""

import asyncio
import base64
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from sam3agent.agent.states import Answered, Status, Story
from sam3agent.answer import Answer, AnswerMask, fresh_folder, masks_of
from sam3agent.api import Agent
from sam3agent.config import Settings
from sam3agent.mllm.base import Picture, Usage
from sam3agent.prompts import render
from sam3agent.segmenter import SegmenterSession
from sam3agent.sessions import OpenPicture, Roots, Sessions
from sam3agent.tools.masks import REGISTRY
from sam3agent.tools.registry import Tool
from sam3agent.tools.workbench import ToolResult
from sam3model.errors import Sam3Error

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult
    from PIL import Image

SERVED = ("segment_phrase", "examine_masks", "measure_masks", "select_masks")
"""Tools of the registry that make sense to a caller who does the asking."""

OUT = Path("sam3agent-out")
"""Where files go by default, below the working directory."""

MAX_PICTURES = 16
"""Pictures in one reply; a caller who wants to see more asks again."""

ImagePath = Annotated[str, Field(description="Path of the picture, inside the folders that this server may read.")]
Question = Annotated[str, Field(description='What to point at, in plain words: "leftmost player in white".')]


class ToolReply(BaseModel):
    """Structured result of a tool: its data, beside the picture it worked on and the files it wrote, if any."""

    model_config = ConfigDict(extra="allow")

    image: str
    masks_file: str | None = Field(default=None, description="The selected masks: COCO, with run-length codes.")
    overlay_file: str | None = Field(default=None, description="The picture with the selected masks in full light.")


class MaskHandle(BaseModel):
    """One mask of an answer: `id` can be given to the other tools, box is xyxy in pixels, area counts pixels."""

    id: int
    box: tuple[int, int, int, int]
    score: float
    area: int
    phrase: str


class AskReply(ToolReply):
    """Structured result of `ask`. For "exhausted", the masks are the best so far."""

    question: str
    status: Status
    reason: str
    masks: list[MaskHandle]
    mllm_calls: int
    segmenter_calls: int
    elapsed_s: float
    weights: str
    backend: str
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every tool of a server needs."""

    agent: Agent
    sessions: Sessions
    reach: Roots
    out: Path

    def use(self, tool: Tool[Any], image: str, arguments: dict[str, Any]) -> "CallToolResult":
        """One call of a registry tool on a picture."""
        with _tool_errors(), self.sessions.picture(self.reach.resolve(image)) as picture:
            result = tool.call(picture.bench, arguments)
            picture.keep(result.pool)
            files = self._files(picture, result) if tool.name == "select_masks" else {}
            return _call_result(ToolReply(image=image, **files, **result.data), result.text, result.pictures)

    def ask(self, image: str, question: str, tell: Callable[[str], None]) -> "CallToolResult":
        """One question on a picture, over what is already encoded; its masks join the picture's pool.

        Called on a worker thread. The question itself runs on the server's event loop, so that it ends with a request
        that is cancelled, and connections to an MLLM serve the next one too.
        """
        import anyio.from_thread

        with _tool_errors(), self.sessions.picture(self.reach.resolve(image)) as picture:
            asked = self.agent
            over = _AlreadyOpen(asked.segmenter.name, picture.bench.session)
            agent = Agent(over, asked.backend, asked.budget, asked.limits, asked.threshold)
            with fresh_folder(self.out, f"{picture.path.stem}-{_slug(question)}") as folder:
                asking = partial(agent.aask, picture.bench.picture, question, out=folder, tell=tell, save=False)
                answer = anyio.from_thread.run(asking)
                answer = _adopt(picture, answer).save(folder, picture.path.name)
            return _call_result(_ask_reply(image, answer), _sentence(answer), _answer_pictures(answer))

    def _files(self, picture: OpenPicture, result: ToolResult) -> dict[str, str]:
        """Files of a selection, as an answer without a question has them."""
        ids = tuple(mask["id"] for mask in result.data["masks"])
        story, reason = Story(result.data["reason"] or "selection", picture.bench.pool), result.data["reason"]
        masks = masks_of(Answered(story, ids, reason))
        name, backend = self.agent.segmenter.name, "mcp"
        answer = Answer(
            story.query, "answered", reason, masks, picture.bench.picture, 0, 0, 0.0, Usage(), 1, name, backend
        )
        with fresh_folder(self.out, f"{picture.path.stem}-selection") as folder:
            saved = answer.save(folder, picture.path.name)
        return {"masks_file": str(saved.masks_path), "overlay_file": str(saved.overlay_path)}


@dataclass(frozen=True, slots=True)
class _AlreadyOpen:
    """A segmenter of one picture, which is encoded already."""

    name: str
    session: SegmenterSession

    def open(self, image: "Image.Image") -> SegmenterSession:
        return self.session


@dataclass(frozen=True, slots=True)
class _Single:
    """One mask as a segmenter's result, for the pool."""

    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, mask: AnswerMask) -> "_Single":
        return cls(mask.mask[None], np.asarray([mask.box], np.float32), np.asarray([mask.score], np.float32))


def build_server(settings: Settings, *, roots: Sequence[str | Path] = (), agent: Agent | None = None) -> "MCPServer":
    """An MCP server over the agent that the settings mean, or over the one given.

    roots: folders that may be read, by default the working directory; the output folder is always one of them.
    """
    from mcp.server import MCPServer
    from mcp.types import ToolAnnotations

    agent = agent or Agent.from_settings(settings)
    out = (settings.out or OUT).expanduser().resolve()
    reach = Roots([*(roots or (Path.cwd(),)), out])
    desk = _Desk(agent, Sessions(agent.segmenter, threshold=agent.threshold), reach, out)
    server = MCPServer("sam3agent", instructions=render("mcp_server"), version=_version(), log_level="WARNING")
    harmless = ToolAnnotations(destructive_hint=False, open_world_hint=False)
    server.add_tool(_asking(desk), annotations=harmless)
    for name in SERVED:
        server.add_tool(_served(REGISTRY[name], desk), description=REGISTRY[name].description, annotations=harmless)
    return server


def serve(
    settings: Settings,
    *,
    roots: Sequence[str | Path] = (),
    transport: Literal["stdio", "streamable-http"] = "stdio",
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """Serve until the client leaves. Over stdio, standard output belongs to the protocol alone."""
    server = build_server(settings, roots=roots)
    if transport == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host=host, port=port)


def _asking(desk: _Desk) -> Callable[..., Any]:
    """The tool `ask`: the whole agent as one call, telling its progress."""
    import anyio.to_thread
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult

    async def ask(image: ImagePath, question: Question, ctx: Context) -> Annotated[CallToolResult, AskReply]:
        """Answer a question about a picture with masks: finds candidates, looks at each, and chooses.

        Understands position, order, count, size, colour and "except". The status is answered, no_match (nothing in
        the picture fits) or exhausted (a budget ran out; the masks are the best so far).
        """
        return await anyio.to_thread.run_sync(desk.ask, image, question, _Progress(ctx))

    return ask


class _Progress:
    """Passes the agent's lines on to the client, one after another."""

    def __init__(self, ctx: "Context") -> None:
        self._ctx = ctx
        self._loop = asyncio.get_running_loop()
        self._done = 0

    def __call__(self, line: str) -> None:
        self._done += 1
        asyncio.run_coroutine_threadsafe(self._ctx.report_progress(self._done, None, line), self._loop)


def _served(tool: Tool[Any], desk: _Desk) -> Callable[..., Any]:
    """A registry tool as a function that MCP can register: its own schema, and `image` before it.

    The SDK is told the schema and passes any value on, so that arguments are validated in one place, the registry.
    """
    from mcp.types import CallToolResult

    def call(image: str, **arguments: Any) -> CallToolResult:
        return desk.use(tool, image, {name: value for name, value in arguments.items() if value is not None})

    schema = tool.schema.parameters
    keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    parameters = [keyword("image", annotation=ImagePath)]
    for name, shape in schema["properties"].items():
        optional = shape["default"] if "default" in shape else Field(default_factory=lambda: None)
        default = inspect.Parameter.empty if name in schema.get("required", ()) else optional
        parameters.append(keyword(name, annotation=Annotated[Any, WithJsonSchema(dict(shape))], default=default))
    signature = inspect.Signature(parameters, return_annotation=Annotated[CallToolResult, ToolReply])
    call.__name__ = tool.name
    call.__dict__["__signature__"] = signature
    return call


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Our own errors as errors of the tool, with their sentence; anything else stays a crash, which the SDK reports."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except Sam3Error as error:
        raise ToolError(str(error)) from error


def _call_result(reply: BaseModel, text: str, pictures: Sequence[Picture]) -> "CallToolResult":
    """Words, pictures and structured content in one result."""
    from mcp.types import CallToolResult, ImageContent, TextContent

    shown = pictures[:MAX_PICTURES]
    if len(pictures) > len(shown):
        text += f"\n(only the first {len(shown)} of {len(pictures)} pictures are shown; ask for fewer masks at once)"
    content: list[Any] = [TextContent(type="text", text=text)]
    for picture in shown:
        data = base64.b64encode(picture.data).decode("ascii")
        content.append(ImageContent(type="image", data=data, mime_type=picture.media_type))
    return CallToolResult(content=content, structured_content=reply.model_dump(mode="json"))


def _adopt(picture: OpenPicture, answer: Answer) -> Answer:
    """The answer with its masks under ids of the picture's pool, where other tools find them."""
    pool, ids = picture.bench.pool, list[int]()
    for mask in answer.masks:
        pool, found = pool.add(mask.phrase, _Single.of(mask))
        ids += found
    picture.keep(pool)
    end = Answered(Story(answer.query, pool), tuple(dict.fromkeys(ids)), answer.reason)
    return replace(answer, masks=masks_of(end))


def _ask_reply(image: str, answer: Answer) -> AskReply:
    masks = [MaskHandle(id=m.id, box=m.box, score=m.score, area=m.stored.area, phrase=m.phrase) for m in answer.masks]
    return AskReply(
        image=image,
        question=answer.query,
        status=answer.status,
        reason=answer.reason,
        masks=masks,
        mllm_calls=answer.mllm_calls,
        segmenter_calls=answer.segmenter_calls,
        elapsed_s=round(answer.elapsed_s, 3),
        weights=answer.weights,
        backend=answer.backend,
        masks_file=str(answer.masks_path),
        overlay_file=str(answer.overlay_path),
        trace=str(answer.trace_path) if answer.trace_path else None,
    )


def _sentence(answer: Answer) -> str:
    """The answer in words."""
    ids = ", ".join(str(mask.id) for mask in answer.masks)
    masks = f"mask {ids}" if ids else "no masks"
    words = {
        "answered": f"Answer: {masks}.",
        "no_match": "No match.",
        "exhausted": f"No final answer; best so far: {masks}.",
    }
    return f"{words[answer.status]} {answer.reason} (decided by {answer.backend})".replace("  ", " ")


def _answer_pictures(answer: Answer) -> tuple[Picture, ...]:
    return (Picture("answer", answer.overlay),) if answer.masks else ()


def _version() -> str:
    try:
        return version("sam3agent")
    except PackageNotFoundError:
        return "checkout"


def _slug(words: str) -> str:
    """Words as a part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:48] or "question"
