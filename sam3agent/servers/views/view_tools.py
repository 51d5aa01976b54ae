"""Views as an extension of the protocol (MCP Apps): the page, the replies that it shows, the tools that it calls."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from mcp.server.apps import Apps, client_supports_apps
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.types import CallToolRequestParams, CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from sam3agent.servers.callers import client_key
from sam3agent.servers.mcp_tools import tool_errors
from sam3agent.servers.views.view_desk import ViewDesk
from sam3agent.servers.views.view_page import view_page
from sam3agent.servers.views.wanted_sight import WantedSight

PAGE = "ui://sam3agent/masks.html"
"""The address of the page."""

VIEWED = ("ask", "segment_phrase", "track", "select_masks")
"""The tools whose replies a host may show with the page."""

PAGE_TOOLS = ("view_look", "view_change")
"""The tools that only the page calls."""

VIEW_KEY = "sam3agent/view"
"""Key in the `_meta` of a reply: the id of its view."""

PAGE_META: Mapping[str, Any] = {"ui": {"resourceUri": PAGE}}
"""The `_meta` of a tool in `VIEWED`."""

ViewId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
Sight = Literal["start", "sheet", "images", "masks", "news", "part", "latest"]


class MaskApps(Apps):
    """The page, its tools, and an id in every reply that it can show, for clients that declare MCP Apps."""

    def __init__(self, views: ViewDesk) -> None:
        super().__init__()
        self._views = views
        self.add_html_resource(
            PAGE,
            view_page(),
            name="masks",
            title="Masks",
            description="Shows the masks of a reply, why each was kept or rejected, and lets a user correct them.",
            prefers_border=True,
        )
        looks = ToolAnnotations(read_only_hint=True, open_world_hint=False)
        changes = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
        for run, hints in ((self._look(), looks), (self._change(), changes)):
            self.tool(resource_uri=PAGE, visibility=["app"], description=run.__doc__, annotations=hints)(run)

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Note a reply that the page can show, and name its view in the `_meta`, which models do not see."""
        result = await call_next(ctx)
        if params.name not in VIEWED or not isinstance(result, CallToolResult) or result.is_error:
            return result
        data = result.structured_content
        if not data or not data.get("image") or not client_supports_apps(ctx):
            return result
        view_id = self._views.note(client_key(ctx), params.name, data)
        return result.model_copy(update={"meta": {**(result.meta or {}), VIEW_KEY: view_id}})

    def _look(self) -> Any:
        async def view_look(
            view: ViewId, what: Sight, ctx: Context, numbers: WantedSight | None = None
        ) -> CallToolResult:
            """For the page that shows masks: the image, its masks, and why each was kept or rejected."""
            with tool_errors():
                return _json(
                    await self._views.look(client_key(ctx.request_context), view, what, numbers or WantedSight())
                )

        return view_look

    def _change(self) -> Any:
        async def view_change(
            view: ViewId,
            action: Annotated[str, Field(max_length=40)],
            ctx: Context,
            body: dict[str, Any] | None = None,
        ) -> CallToolResult:
            """For the page that shows masks: what its user does, such as a click that corrects a mask."""
            with tool_errors():
                return _json(await self._views.change(client_key(ctx.request_context), view, action, body or {}))

        return view_change


def without_apps(method: str, result: HandlerResult) -> HandlerResult:
    """A list of tools or resources for a client that does not declare MCP Apps: as if there were no page."""
    if method not in ("tools/list", "resources/list"):
        return result
    value = (
        result.model_dump(by_alias=True, mode="json", exclude_none=True) if isinstance(result, BaseModel) else result
    )
    value = dict(value or {})
    if method == "resources/list":
        value["resources"] = [one for one in value.get("resources", ()) if one.get("uri") != PAGE]
        return value
    tools = [dict(tool) for tool in value.get("tools", ()) if tool.get("name") not in PAGE_TOOLS]
    for tool in tools:
        meta = {name: part for name, part in (tool.pop("_meta", None) or {}).items() if name != "ui"}
        tool.update({"_meta": meta} if meta else {})
    return {**value, "tools": tools}


def _json(shown: Mapping[str, Any]) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text="shown on the page")], structured_content=dict(shown))
