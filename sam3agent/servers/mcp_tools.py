"""The tools as MCP has them: the registry's own definitions with an image in front, `ask`, and what handles jobs."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, WithJsonSchema

from sam3agent.deadlines import within
from sam3agent.servers.callers import Caller, caller_of
from sam3agent.servers.jobs import Job, JobStoppedError, time_left
from sam3agent.servers.mcp_replies import AskReply, Reply, ToolReply
from sam3agent.servers.tool_desk import ToolDesk, takes_long
from sam3agent.tools.registry import Tool
from sam3model.errors import Sam3Error
from sam3model.printable import printable

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult

REPORT_SECONDS = 0.25
"""Minimum time between two progress reports of a call that counts frames."""

ImagePath = Annotated[
    str,
    Field(
        description="Path of the image or clip, inside a folder that this server may read: absolute, relative, with ~, "
        "or a file: address; or a data: URI of an image, or a sam3:// name from an earlier reply."
    ),
]
Question = Annotated[str, Field(description='What to find, in plain words: "leftmost player in white".')]
WaitSeconds = Annotated[
    float | None,
    Field(
        ge=0,
        le=3600,
        description="Maximum time to wait for the result; after it a job id is returned, for job_result. 0: at once.",
    ),
]
JobId = Annotated[str, Field(description="The id of a job, from an earlier reply.")]


@dataclass(frozen=True)
class McpTools:
    """The tools of a server. host_profile: the reply profile to use for every client, in place of the table."""

    desk: ToolDesk
    host_profile: str | None = None

    def ask(self) -> Callable[..., Any]:
        """The tool `ask`: the whole agent as one call, with progress reports."""
        from mcp.server.mcpserver import Context
        from mcp.types import CallToolResult

        async def ask(
            image: ImagePath, question: Question, ctx: Context, wait_seconds: WaitSeconds = None
        ) -> Annotated[CallToolResult, AskReply]:
            """Answer a question about an image with masks: finds candidates, examines each, and selects.

            Understands position, order, count, size, colour and "except". The status is answered, no_match (nothing in
            the image matches), not_understood (the question cannot be read; nothing is claimed about the image) or
            exhausted (a budget ran out; the masks are the best answer so far). Read the warnings.
            """
            caller = caller_of(ctx, self.host_profile)
            work = partial(self.desk.ask, caller.key, image, question)
            pending = AskReply(image=image[:1000], question=question[:1000])
            job = self.desk.jobs.start(caller.key, f"ask: {question[:80]}", pending, work)
            return await self._awaited(job, caller, ctx, wait_seconds)

        return ask

    def served(self, tool: Tool[Any]) -> Callable[..., Any]:
        """A registry tool as a function that MCP can register: its own schema, with `image` in front.

        The SDK gets the schema and passes any value on, so that arguments are validated in one place, the registry.
        """
        from mcp.server.mcpserver import Context
        from mcp.types import CallToolResult

        async def call(image: str, ctx: Context, **arguments: Any) -> CallToolResult:
            caller = caller_of(ctx, self.host_profile)
            wait = arguments.pop("wait_seconds", None)
            given = {name: value for name, value in arguments.items() if value is not None}
            use = partial(self.desk.use, tool, caller.key, image, given)
            if takes_long(tool):
                job = self.desk.jobs.start(caller.key, tool.name, ToolReply(image=image[:1000]), use)
                return await self._awaited(job, caller, ctx, wait)
            with tool_errors():
                return await self.written(await use(), caller)

        call.__name__ = tool.name
        call.__dict__["__signature__"] = _signature(tool)
        return call

    def job_status(self) -> Callable[..., Any]:
        """The tool `job_status`."""
        from mcp.server.mcpserver import Context
        from mcp.types import CallToolResult

        async def job_status(ctx: Context, job: JobId = "") -> CallToolResult:
            """Tell how far a job is, or list the jobs of this session if no id is given."""
            caller = caller_of(ctx, self.host_profile)
            with tool_errors():
                jobs = [self.desk.jobs.get(job)] if job else self.desk.jobs.of(caller.key)
            lines = [job_words(found) for found in jobs] or ["there are no jobs"]
            return _words("\n".join(lines))

        return job_status

    def job_result(self) -> Callable[..., Any]:
        """The tool `job_result`."""
        from mcp.server.mcpserver import Context
        from mcp.types import CallToolResult

        async def job_result(job: JobId, ctx: Context, wait_seconds: WaitSeconds = None) -> CallToolResult:
            """Return the result of a job, once it is done; wait for it for a while. May be called again."""
            caller = caller_of(ctx, self.host_profile)
            with tool_errors():
                found = self.desk.jobs.get(job)
            return await self._awaited(found, caller, ctx, wait_seconds)

        return job_result

    def cancel_job(self) -> Callable[..., Any]:
        """The tool `cancel_job`."""
        from mcp.server.mcpserver import Context
        from mcp.types import CallToolResult

        async def cancel_job(job: JobId, ctx: Context) -> CallToolResult:
            """Stop a job. What it has found so far is discarded."""
            with tool_errors():
                found = self.desk.jobs.get(job)
            found.cancel()
            await found.wait(1)
            return _words(job_words(found))

        return cancel_job

    async def _awaited(
        self, job: Job, caller: Caller, ctx: "Context[Any, Any]", seconds: float | None
    ) -> "CallToolResult":
        """The result of a job, with progress until then; a note with its id once the caller has waited long enough.

        A job whose id nobody has ends with the request that started it.
        """
        seconds = caller.profile.patience_s if seconds is None else seconds
        try:
            await _watch(job, ctx, seconds, caller.gone)
        except BaseException:  # the request was cancelled
            _let_go(job)
            raise
        if not job.finished and caller.gone is not None and caller.gone.is_set():
            _let_go(job)
        elif not job.finished:
            job.handed_over = True
            return _working(job)
        with tool_errors():
            result = await self.written(job.result(), caller)
        if not job.handed_over:
            self.desk.jobs.drop(job)
        return result

    async def written(self, reply: Reply, caller: Caller) -> "CallToolResult":
        """A reply as the caller's host shows it; images are rendered on another thread."""
        async with self.desk.looking.slot(reply.data.image):
            return await within(None, reply.written, caller.profile, self.desk.results)


def _let_go(job: Job) -> None:
    """Stop a job whose client has left, unless it has the id and may come back."""
    if not job.handed_over:
        job.cancel()


async def _watch(job: Job, ctx: "Context[Any, Any]", seconds: float, gone: asyncio.Event | None) -> None:
    """Send the reports of a job until it has ended, the time is over, or the client has gone."""
    deadline, told, last = time.monotonic() + seconds, 0, 0.0
    while True:
        finished = job.finished
        for number, done, total, words in list(job.reports):
            now = time.monotonic()
            if number <= told:
                continue
            told = number
            if total and done < total and now - last < REPORT_SECONDS:
                continue
            last = now
            await ctx.report_progress(done, total, _with_time(job, done, total, words))
        left = deadline - time.monotonic()
        if finished or left <= 0 or (gone is not None and gone.is_set()):
            return
        await job.wait(min(left, 0.5))


def _working(job: Job) -> "CallToolResult":
    """The note in place of a result that is not there yet."""
    words = f'{job_words(job)}\nCall job_result with job "{job.id}" for the result.'
    note = _words(words)
    note.structured_content = job.pending.model_copy(update={"words": words}).model_dump(mode="json")
    return note


def _with_time(job: Job, done: float, total: float | None, words: str) -> str:
    """A report with the name of the tool and the time left, if it counts frames."""
    if not total or job.started is None:
        return words
    left = time_left(done, total, time.monotonic() - job.started)
    return f"{job.title}: {words}" + (f", {left}" if left else "")


def job_words(job: Job) -> str:
    """A job in words."""
    line = f"job {job.id} ({job.title}): {job.state}"
    if job.reports and not job.finished:
        _, done, total, words = job.reports[-1]
        line += f"; {_with_time(job, done, total, words)}"
    return printable(line)


def _signature(tool: Tool[Any]) -> inspect.Signature:
    """The arguments of a registry tool as a function has them."""
    from mcp.types import CallToolResult

    schema = tool.schema.parameters
    keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    parameters = [keyword("image", annotation=ImagePath)]
    for name, shape in schema.get("properties", {}).items():
        optional = shape["default"] if "default" in shape else Field(default_factory=lambda: None)
        default = inspect.Parameter.empty if name in schema.get("required", ()) else optional
        parameters.append(keyword(name, annotation=Annotated[Any, WithJsonSchema(dict(shape))], default=default))
    if takes_long(tool):
        parameters.append(keyword("wait_seconds", annotation=WaitSeconds, default=None))
    return inspect.Signature(parameters, return_annotation=Annotated[CallToolResult, ToolReply])


def _words(text: str) -> "CallToolResult":
    from mcp.types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=text)])


@contextmanager
def tool_errors() -> Iterator[None]:
    """Report our own errors as tool errors with their message; any other exception is left to the SDK."""
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        yield
    except JobStoppedError as error:
        raise ToolError("the job was cancelled") from error
    except Sam3Error as error:
        raise ToolError(printable(error)) from error
