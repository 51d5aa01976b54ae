"""`sam3agent mcp` as the process that clients start: over its standard input and output, with weights from a file."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import torch
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from sam3agent.tools.registry import all_tools
from sam3model.build import build
from sam3model.checkpoint import save_native
from tests.drawn_match import drawing
from tests.servers.desk import data, text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, and random weights of the shipped size."""
    made = tmp_path_factory.mktemp("stdio")
    torch.manual_seed(0)
    save_native(build("sam3_tiny"), made / "random.safetensors")
    drawing().save(made / "match image é.png")
    return made


def test_a_client_starts_it_asks_and_leaves(folder: Path) -> None:
    program = "from sam3agent.cli import main; main()"
    weights = str(folder / "random.safetensors")
    arguments = ["-c", program, "mcp", "--root", str(folder), "--weights", weights]
    environment = {**os.environ, "SAM3AGENT_OUT": str(folder / "out"), "OMP_NUM_THREADS": "1"}
    checkout = str(Path(__file__).parents[2])
    process = StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=checkout)
    image = "match image é.png"

    async def talk() -> tuple[list[str], list[CallToolResult]]:
        async with Client(process) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            return names, [
                await client.call_tool("segment_phrase", {"image": image, "phrases": ["player"]}),
                await client.call_tool("ask", {"image": image, "question": "leftmost player in white"}),
                await client.call_tool("ask", {"image": "/etc/hostname", "question": "the name"}),
            ]

    names, (found, answer, outside) = asyncio.run(talk())
    served = [tool.name for tool in all_tools().values() if tool.served]
    assert names == ["ask", *served, "job_status", "job_result", "cancel_job"]
    assert data(found)["searches"][0]["phrase"] == "player"
    assert data(answer)["status"] in ("answered", "no_match", "exhausted")
    assert data(answer)["backend"] == "rules"
    assert Path(data(answer)["masks_file"]).is_file()
    assert outside.is_error and "--root" in text(outside)
