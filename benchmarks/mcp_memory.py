"""Memory of the MCP server over many images and clips: it must not grow with their number.

    python -m benchmarks.mcp_memory --images 300 --clips 50

One client, which shows views as a host with MCP Apps does, works through images of different sizes and short clips: it
searches, looks, clicks, selects and tracks. The test fails if the server has over 10 % more memory at the end of the
images, or of the clips, than after the first third of them.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import CallToolResult
from PIL import Image

from benchmarks.mcp_load import ASSETS, memory_of, with_server
from sam3agent.servers.views.view_tools import VIEW_KEY
from sam3model.frames import ClipWriter
from sam3model.playground import clip

APPS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})

ALLOWED = 1.1
"""Growth from the first third to the end that is still called flat."""

FRAMES = 6
"""Frames of a clip."""


def write_image(path: Path, number: int) -> None:
    """An image of one of 20 sizes, so that every third of 300 images has each of them five times."""
    with Image.open(ASSETS / "match.png") as source:
        side = 320 + 48 * (number % 20)
        source.convert("RGB").resize((side, side * 3 // 4)).save(path)


def write_clip(path: Path, number: int) -> None:
    """A short drawn clip."""
    drawn = clip("val", number, frames=FRAMES, size=(160, 128))
    with ClipWriter(path, (160, 128), 10.0) as writer:
        for t in range(FRAMES):
            writer.write(drawn.frame(t).image)


async def image_work(client: Client, image: str) -> None:
    """What a conversation about an image does."""
    found = await called(client, "segment_phrase", image=image, phrases=["player", "ball"])
    view = (found.meta or {})[VIEW_KEY]
    await called(client, "view_look", view=view, what="sheet")
    await called(client, "view_look", view=view, what="images", numbers={"frames": [0]})
    added = await client.call_tool("view_change", {"view": view, "action": "click", "body": {"click": [40, 40, 1]}})
    if not added.is_error:
        await called(client, "view_change", view=view, action="undo")
    await client.call_tool("examine_masks", {"image": image, "ids": [1]})
    await client.call_tool("select_masks", {"image": image, "ids": [1]})


async def clip_work(client: Client, name: str) -> None:
    """What a conversation about a clip does."""
    tracked = await called(client, "track", image=name, phrases=["dog", "car"], wait_seconds=600)
    view = (tracked.meta or {})[VIEW_KEY]
    await called(client, "view_look", view=view, what="sheet")
    await called(client, "view_look", view=view, what="images", numbers={"frames": list(range(FRAMES))})


async def called(client: Client, name: str, **arguments: Any) -> CallToolResult:
    """The result of a tool. Raises `RuntimeError` if it is an error."""
    result = await client.call_tool(name, arguments)
    if result.is_error:
        raise RuntimeError(f"{name}: {result.content}")
    return result


async def worked(address: str, pid: int, folder: Path, images: int, clips: int) -> dict[str, list[int]]:
    """Memory in bytes after each image, and after each clip."""
    memory: dict[str, list[int]] = {"images": [], "clips": []}
    async with Client(address, extensions=[APPS]) as client:
        for kind, count, write, work in (
            ("images", images, write_image, image_work),
            ("clips", clips, write_clip, clip_work),
        ):
            for number in range(count):
                path = folder / f"{number}.{'png' if kind == 'images' else 'mp4'}"
                write(path, number)
                await work(client, path.name)
                memory[kind].append(memory_of(pid))
                path.unlink()
                if (number + 1) % max(1, count // 10) == 0:
                    sys.stdout.write(f"{number + 1:4} {kind:7} {memory[kind][-1] >> 20} MiB\n")
                    sys.stdout.flush()
    return memory


def main() -> int:
    """Run the test and print the figures; exit code 1 if memory grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--clips", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        memory, took = with_server(
            folder, lambda url, pid: asyncio.run(worked(url, pid, folder, given.images, given.clips))
        )
    grown = {
        kind: _largest(sizes[len(sizes) * 2 // 3 :]) / _largest(sizes[: len(sizes) // 3])
        for kind, sizes in memory.items()
        if len(sizes) > 2
    }
    for kind, ratio in grown.items():
        sys.stdout.write(f"{kind}: {100 * (ratio - 1):+.1f} % from the first third to the last\n")
    sys.stdout.write(f"the server left {took:.2f} s after SIGTERM\n")
    return int(any(ratio > ALLOWED for ratio in grown.values()))


def _largest(sizes: list[int]) -> int:
    return max(sizes, default=1)


if __name__ == "__main__":
    sys.exit(main())
