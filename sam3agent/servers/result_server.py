"""The SDK's server with result files as resources, and tool lists that fit the profile of each client."""

from collections.abc import Iterable, Sequence
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.types import ListToolsResult, Resource, ResourceTemplate

from sam3agent.deadlines import within
from sam3agent.servers.callers import client_traits
from sam3agent.servers.mcp_resources import read_result, resource_list, resource_template
from sam3agent.servers.reply_profiles import choose_profile
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.written_paths import RESULTS


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
            middleware=[self._fit_tool_list],
        )
        self._results = results
        self._host_profile = host_profile

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

    async def _fit_tool_list(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Leave output schemas out for clients that get no structured content: they would miss it."""
        result = await call_next(ctx)
        if ctx.method != "tools/list":
            return result
        if choose_profile(client_traits(ctx.session), self._host_profile).structured:
            return result
        if isinstance(result, ListToolsResult):
            tools = [tool.model_copy(update={"output_schema": None}) for tool in result.tools]
            return result.model_copy(update={"tools": tools})
        if isinstance(result, dict):
            _drop_schemas(result.get("tools", ()))
        return result


def _drop_schemas(tools: Iterable[dict[str, Any]]) -> None:
    for tool in tools:
        tool.pop("outputSchema", None)
