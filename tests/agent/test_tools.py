"""Adding a tool is one file: it then appears to the MLLM, over MCP and in the reference."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

BLUR_MASKS = '''
"""The tool `blur_masks`: hide objects."""

from PIL import ImageFilter
from pydantic import Field

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.states import Observed
from sam3agent.tools.arguments import UniqueMaskIds
from sam3agent.tools.evidence import known_candidates, summary
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class BlurMasks(Arguments):
    """Arguments of blur_masks."""

    ids: UniqueMaskIds = Field(description="Ids of the masks to blur.")


@tool()
def blur_masks(bench: Workbench, args: BlurMasks) -> ToolResult:
    """Show the image with some masks blurred."""
    candidates = known_candidates(bench, args.ids)

    def render():
        image = bench.media.frame(0).copy()
        for candidate in candidates:
            box = candidate.mask.box
            image.paste(image.crop(box).filter(ImageFilter.GaussianBlur(9)), box[:2])
        return image

    image = LazyImage(EvidenceKey(0, tuple(args.ids), "blurred"), render)
    text = f"blurred {len(candidates)} masks"
    data = {"masks": [summary(c, bench.media) for c in candidates]}
    return ToolResult(text, data, Observed(text, (image,)), bench.pool, (image,))
'''

USES = """
import sys

import sam3agent.tools

sam3agent.tools.__path__.append(sys.argv[1])
import asyncio
from pathlib import Path

from mcp import Client

from sam3agent import Agent, Settings
from sam3agent.images import LazyImage
from sam3agent.mcp_server import build_server
from sam3agent.testing import ScriptedBackend, call
from sam3agent.tools.registry import all_tools, tool_reference
from tests.drawn_match import drawing, segmenter

folder = Path(sys.argv[2])
drawing().save(folder / "match.png")
lines = [call("segment_phrase", phrases=["player in red"]), call("blur_masks", ids=[1]), call("select_masks", ids=[1])]
backend = ScriptedBackend(lines, {None: '{"verdict": "accept"}'})
answer = Agent(segmenter(), backend).ask(folder / "match.png", "the player in red", out=folder / "answer")
assert answer.status == "answered"
assert "blur_masks" in [schema.name for schema in backend.requests[0].tools]
told = [part for message in backend.requests[-1].messages for part in message.parts]
assert any("blurred 1 masks" in part.text for part in told if not isinstance(part, LazyImage))
last = backend.requests[-1].messages[-1].parts
assert [part.key.kind for part in last if isinstance(part, LazyImage)] == ["numbered", "blurred"]


async def over_mcp():
    async with Client(build_server(Settings(out=folder / "out"), roots=[folder], agent=Agent(segmenter()))) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        await client.call_tool("segment_phrase", {"image": "match.png", "phrases": ["player in red"]})
        return names, await client.call_tool("blur_masks", {"image": "match.png", "ids": [1]})


names, result = asyncio.run(over_mcp())
assert "blur_masks" in names and not result.is_error
assert [part.type for part in result.content] == ["text", "image"]
assert "## blur_masks" in tool_reference() and "Ids of the masks to blur." in tool_reference()
assert list(all_tools()) == [
    "segment_phrase", "track", "examine_masks", "measure_masks", "measure_tracks", "merge_tracks",
    "split_track", "select_masks", "report_no_match", "blur_masks",
]
"""


def test_a_tool_in_one_new_file_appears_everywhere(tmp_path: Path) -> None:
    package = tmp_path / "tools"
    package.mkdir()
    (package / "blur_masks.py").write_text(BLUR_MASKS)
    done = subprocess.run(
        [sys.executable, "-c", USES, str(package), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_reference_of_the_tools_is_a_command() -> None:
    code = "from sam3agent.cli import main; main(['tools'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "## segment_phrase" in done.stdout and "- `phrases` (array, required)" in done.stdout
