"""Jobs as tasks of the protocol (the extension `io.modelcontextprotocol/tasks`), for clients that declare it.

Such a client is sent a handle in place of the note that work goes on, and asks for the result itself; its model never
sees a job id.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolRequestParams, CallToolResult, RequestParams, TextContent
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

from sam3agent.servers.callers import Caller, client_key, client_traits
from sam3agent.servers.jobs import KEPT_SECONDS, Job
from sam3agent.servers.mcp_tools import McpTools, job_words
from sam3agent.servers.reply_profiles import choose_profile
from sam3agent.tools.registry import ToolUseError
from sam3model.errors import Sam3Error
from sam3model.printable import printable

POLL_MS = 1000
"""How long a client should wait between two questions for a result, in milliseconds."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)


class TaskParams(RequestParams):
    """What names a task."""

    task_id: str = Field(alias="taskId", max_length=100)


class JobTasks(Extension):
    """Hands jobs to clients as tasks, and serves `tasks/get`, `tasks/update` and `tasks/cancel`."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self, tools: McpTools) -> None:
        self._tools = tools

    def methods(self) -> list[MethodBinding]:
        """The requests of the extension."""
        handlers = {"get": self._get, "update": self._update, "cancel": self._cancel}
        return [MethodBinding(f"tasks/{name}", TaskParams, run, _VERSIONS) for name, run in handlers.items()]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Return a task in place of the note that work goes on, unless the model said how long it would wait."""
        result = await call_next(ctx)
        if not isinstance(result, CallToolResult) or not self._is_declared(ctx):
            return result
        job_id = (result.structured_content or {}).get("job")
        if not job_id or params.name == "job_result" or (params.arguments or {}).get("wait_seconds") is not None:
            return result
        job = self._tools.desk.jobs.get(str(job_id))
        job.meta = result.meta
        return {"resultType": "task", **_task(job, "working")}

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        """Where a task is, and its result once that is there."""
        job = self._known(ctx, params)
        if not job.finished:
            return _task(job, "working")
        if job.state == "cancelled":
            return _task(job, "cancelled")
        try:
            return {**_task(job, "completed"), "result": await self._result(ctx, job)}
        except Exception as error:
            problem = f"{type(error).__name__}: {printable(error)}"
            return {**_task(job, "failed"), "error": {"code": INTERNAL_ERROR, "message": problem}}

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        """Nothing: no task asks its client anything."""
        self._known(ctx, params)
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> HandlerResult:
        """Stop a task."""
        self._known(ctx, params).cancel()
        return {}

    async def _result(self, ctx: ServerRequestContext[Any, Any], job: Job) -> Mapping[str, Any]:
        """The result of a job that has ended as its tool would have returned it; an error of ours is such a result."""
        profile = choose_profile(client_traits(ctx.session), self._tools.host_profile)
        try:
            result = await self._tools.written(job.result(), Caller(client_key(ctx), profile))
        except Sam3Error as error:
            result = CallToolResult(content=[TextContent(type="text", text=printable(error))], is_error=True)
        data = {"meta": {**(result.meta or {}), **(job.meta or {})} or None}
        if not profile.structured:
            data["structured_content"] = None
        return _dump(result.model_copy(update=data))

    def _known(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> Job:
        """The job of a task. Raises the protocol's errors if there is none, or the client did not declare tasks."""
        if not self._is_declared(ctx):
            needed = {"requiredCapabilities": {"extensions": {self.identifier: {}}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "Missing required client capability", needed)
        try:
            return self._tools.desk.jobs.get(params.task_id)
        except ToolUseError as error:
            raise MCPError(INVALID_PARAMS, printable(error)) from error

    def _is_declared(self, ctx: ServerRequestContext[Any, Any]) -> bool:
        capabilities = ctx.session.client_capabilities
        modern = ctx.session.protocol_version in MODERN_PROTOCOL_VERSIONS
        return modern and bool(capabilities and self.identifier in (capabilities.extensions or {}))


def _task(job: Job, status: str) -> dict[str, Any]:
    """A task as the protocol has it. It may be forgotten some time after it has ended."""
    kept = None if job.lasted is None else round(1000 * (job.lasted + KEPT_SECONDS))
    return {
        "taskId": job.id,
        "status": status,
        "statusMessage": job_words(job),
        "createdAt": _timestamp(job.created),
        "lastUpdatedAt": _timestamp(job.updated),
        "ttlMs": kept,
        "pollIntervalMs": POLL_MS,
    }


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dump(model: BaseModel) -> dict[str, Any]:
    """A model as the protocol writes it."""
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)
