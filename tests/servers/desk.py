"""A server over a scripted segmenter, tracker and backend, and a folder with one image in it."""

import asyncio
import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from sam3agent.api import Agent
from sam3agent.config import Settings
from sam3agent.mcp_server import build_server
from sam3agent.mllm.base import MLLM
from sam3agent.testing import ScriptedBackend, ScriptLine
from tests import drawn_match
from tests.agent import moving_blocks


class Desk:
    """Calls tools as a client would; `lines` collects the progress reports."""

    def __init__(
        self,
        folder: Path,
        script: Iterable[ScriptLine] = (),
        backend: MLLM | None = None,
        *,
        segmenter: Any = None,
        tracker: Any = None,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.segmenter = segmenter or drawn_match.segmenter()
        self.tracker = tracker or moving_blocks.tracker(delay=2)
        self.lines: list[str] = []
        drawn_match.drawing().save(folder / "match.png")
        backend = backend or ScriptedBackend(script, {None: '{"verdict": "accept"}'})
        agent = Agent(self.segmenter, backend, tracker=self.tracker)
        self.server = build_server(Settings(out=folder / "out"), roots=[folder], agent=agent, **options)

    def calls(self, *calls: tuple[str, dict[str, Any]], mode: str = "auto") -> list[CallToolResult]:
        async def report(_done: float, _total: float | None, message: str | None) -> None:
            self.lines.append(message or "")

        async def talk() -> list[CallToolResult]:
            async with Client(self.server, mode=mode) as client:
                return [await client.call_tool(name, given, progress_callback=report) for name, given in calls]

        return asyncio.run(talk())

    def call(self, name: str, **arguments: Any) -> CallToolResult:
        return self.calls((name, {"image": "match.png", **arguments}))[0]

    def refusal(self, name: str, **arguments: Any) -> str:
        result = self.call(name, **arguments)
        assert result.is_error
        return text(result)


def text(result: CallToolResult) -> str:
    """The words of a result."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def data(result: CallToolResult) -> dict[str, Any]:
    """The structured content of a result."""
    assert not result.is_error, text(result)
    return result.structured_content or {}


def images(result: CallToolResult) -> list[Image.Image]:
    """The images of a result, decoded."""
    encoded = [base64.b64decode(part.data) for part in result.content if isinstance(part, ImageContent)]
    return [Image.open(io.BytesIO(one)) for one in encoded]
