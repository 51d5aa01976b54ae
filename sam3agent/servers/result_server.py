"""The SDK's server with result files as resources, and lists and results of tools that fit each client."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from anyio import BrokenResourceError, ClosedResourceError
from mcp.server import MCPServer
from mcp.server.apps import client_supports_apps
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_PARAMS, ErrorData, JSONRPCError, Resource, ResourceTemplate
from pydantic import BaseModel, ValidationError

from sam3agent.deadlines import within
from sam3agent.servers.callers import client_traits
from sam3agent.servers.mcp_resources import read_result, resource_list, resource_template
from sam3agent.servers.reply_profiles import choose_profile
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.stdio_lines import Refusal, standard_input
from sam3agent.servers.views.view_tools import PAGE_TOOLS, without_apps
from sam3agent.servers.written_paths import RESULTS
from sam3agent.tools.reading import ToolUseError, named_arguments
from sam3model.untrusted import clean_line


class ResultServer(MCPServer):
    """An MCP server whose resources are the files of a result folder. extensions: of the protocol, e.g. MCP Apps."""

    def __init__(
        self,
        results: ResultFolder,
        host_profile: str | None,
        *,
        instructions: str,
        version: str,
        extensions: Sequence[Extension] = (),
    ) -> None:
        super().__init__(
            "sam3agent",
            title="sam3agent",
            instructions=instructions,
            version=version,
            log_level="WARNING",
            extensions=extensions,
            middleware=[self._fit_profile],
        )
        self._results = results
        self._host_profile = host_profile
        self._fields = dict[str, tuple[str, ...]]()

    async def run_stdio_async(self) -> None:
        """Serve over standard input and output until the client is gone."""
        server = self._lowlevel_server
        lines: Any = standard_input()
        async with stdio_server(lines) as (reader, writer):

            async def answer(refusal: Refusal) -> None:
                said = ErrorData(code=refusal.code, message=refusal.message)
                with suppress(BrokenResourceError, ClosedResourceError):
                    await writer.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=refusal.id, error=said)))

            lines.answer = answer
            await server.run(reader, writer, server.create_initialization_options())

    async def list_resources(self) -> list[Resource]:
        """The result files, and what extensions registered."""
        return [*await super().list_resources(), *await within(None, resource_list, self._results)]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """How results are read."""
        return [*await super().list_resource_templates(), resource_template()]

    async def read_resource(self, uri: Any, context: Any = None) -> Any:
        """A result file or a part of one, or what extensions registered."""
        if not str(uri).startswith(RESULTS):
            return await super().read_resource(uri, context)
        content: ReadResourceContents = await within(None, read_result, self._results, str(uri))
        return [content]

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None, context: Any = None) -> Any:
        """A prompt. A name that is none, and arguments that do not fit, are answered with one sentence."""
        prompts = {prompt.name: prompt for prompt in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"there is no prompt {clean_line(name, 80)!r}; use {', '.join(prompts)}")
        wanted = {argument.name: argument.required for argument in prompts[name].arguments or ()}
        given = arguments or {}
        if missing := [key for key, required in wanted.items() if required and key not in given]:
            raise MCPError(INVALID_PARAMS, f"the prompt {name} needs {' and '.join(missing)}")
        return await super().get_prompt(name, {key: given[key] for key in wanted if key in given}, context)

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool. Arguments that do not fit the schema are answered with one sentence."""
        try:
            return await super().call_tool(name, await self._named(name, arguments), context)
        except ToolUseError as error:
            raise ToolError(str(error)) from error
        except ToolError as error:
            if isinstance(error, UnexpectedToolError) or not isinstance(error.__cause__, ValidationError):
                raise
            first = error.__cause__.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ToolError(clean_line(f"arguments of {name}: {place}: {first['msg']}", 500)) from error

    async def _named(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments under the names of the schema. Raises `ToolUseError` if one must not be dropped as the SDK does."""
        if not self._fields:
            self._fields = {
                tool.name: tuple(tool.input_schema.get("properties", ())) for tool in await self.list_tools()
            }
        if name in PAGE_TOOLS or name not in self._fields:
            return arguments
        taken, extra = named_arguments(self._fields[name], arguments, f"arguments of {name}")
        return {**extra, **taken}

    async def _fit_profile(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Leave structured content out for clients that would show it in place of the rest, and what announces it."""
        result = await call_next(ctx)
        if not client_supports_apps(ctx):
            result = without_apps(ctx.method, result)
        if ctx.method not in ("tools/list", "tools/call") or (ctx.params or {}).get("name") in PAGE_TOOLS:
            return result
        if choose_profile(client_traits(ctx.session), self._host_profile).structured:
            return result
        if isinstance(result, BaseModel):
            result = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        value = dict(result or {})
        value.pop("structuredContent", None)
        for tool in value.get("tools", ()):
            tool.pop("outputSchema", None)
        return value
