"""A client that shows views as a host with MCP Apps does, without its page."""

import asyncio
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.types import CallToolResult

from sam3agent.servers.views.view_tools import VIEW_KEY
from sam3agent.testing import ScriptedTracker
from tests.servers.desk import Desk, data, text
from tests.servers.view_host import APPS
from tests.studio.studio_desk import PATHS, PathSegmenter


class Host:
    """A client that declares MCP Apps, and calls what a page would call."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tool(self, name: str, **arguments: Any) -> CallToolResult:
        return await self.client.call_tool(name, {"image": "match.png", **arguments})

    async def view(self, name: str, **arguments: Any) -> str:
        result = await self.tool(name, **arguments)
        assert not result.is_error, text(result)
        return (result.meta or {})[VIEW_KEY]

    async def look(self, view: str, what: str = "sheet", **numbers: Any) -> dict[str, Any]:
        given = {"view": view, "what": what, "numbers": numbers}
        return data(await self.client.call_tool("view_look", given))

    async def change(self, view: str, action: str, **body: Any) -> dict[str, Any]:
        return data(await self.client.call_tool("view_change", {"view": view, "action": action, "body": body}))

    async def refusal(self, view: str, action: str, **body: Any) -> str:
        result = await self.client.call_tool("view_change", {"view": view, "action": action, "body": body})
        assert result.is_error
        return text(result)


def hosted(desk: Desk, work: Any) -> Any:
    async def talk() -> Any:
        async with Client(desk.server, extensions=[APPS]) as client:
            return await work(Host(client))

    return asyncio.run(talk())


def kept(sheet: dict[str, Any]) -> dict[int, bool]:
    return {one["id"]: one["kept"] for one in sheet["objects"]}


def clicked(tmp_path: Path) -> Desk:
    """A server whose model can be clicked; the image shows two players and a ball."""
    return Desk(tmp_path, segmenter=PathSegmenter(), tracker=ScriptedTracker(PATHS))
