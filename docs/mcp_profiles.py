"""Draw what a model sees of one reply in each profile, for mcp.md: `python docs/mcp_profiles.py`."""

import asyncio
import base64
import io
import tempfile
import textwrap
from pathlib import Path

from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image, ImageDraw, ImageFont

from sam3agent import Settings
from sam3agent.mcp_server import build_server
from sam3agent.servers.reply_profiles import PROFILES

DOCS = Path(__file__).parent
ASSETS = DOCS.parent / "assets"
WIDTH = 760


async def reply(profile: str, out: Path) -> CallToolResult:
    """A look at seven masks, as a client of this profile gets it."""
    server = build_server(Settings(weights="tiny", out=out), roots=[ASSETS], host_profile=profile)
    async with Client(server) as client:
        await client.call_tool("segment_phrase", {"image": "match.png", "phrases": ["player"]})
        return await client.call_tool("examine_masks", {"image": "match.png", "ids": [1, 2, 3, 4, 5, 6, 7]})


def drawn(result: CallToolResult, out: Path) -> Image.Image:
    """The parts of a reply one below the other: words, images, structured content."""
    font = ImageFont.load_default(13)
    structured = ["structured content:", str(result.structured_content)] if result.structured_content else []
    said = [part.text for part in result.content if isinstance(part, TextContent)]
    lines = [part for text in [*said, "", *structured] for line in text.splitlines() or [""] for part in wrapped(line)]
    lines = [line.replace(str(out), "/home/me/sam3agent-out") for line in lines]
    pictures = [opened(part) for part in result.content if isinstance(part, ImageContent)]
    tall = sum(picture.height + 10 for picture in pictures)
    canvas = Image.new("RGB", (WIDTH, 20 + 17 * len(lines) + tall), "white")
    draw, y = ImageDraw.Draw(canvas), 8
    for line in lines:
        draw.text((10, y), line, fill=(20, 20, 20), font=font)
        y += 17
    for picture in pictures:
        canvas.paste(picture, (10, y))
        y += picture.height + 10
    return canvas


def wrapped(line: str) -> list[str]:
    """A line as the drawing has room for it, at most twelve lines."""
    return textwrap.wrap(line, 110, max_lines=12) or [""]


def opened(part: ImageContent) -> Image.Image:
    """An image of a reply, scaled to the drawing."""
    picture = Image.open(io.BytesIO(base64.b64decode(part.data))).convert("RGB")
    picture.thumbnail((WIDTH - 20, WIDTH - 20))
    return picture


def main() -> None:
    """Write one image for each profile."""
    for profile in PROFILES:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder).resolve()
            image = drawn(asyncio.run(reply(profile, out)), out)
        image.save(DOCS / "images" / f"mcp-{profile}.jpg", quality=72, optimize=True)


if __name__ == "__main__":
    main()
