"""A small drawn match whose objects are known exactly, and a segmenter that finds them."""

from PIL import Image, ImageDraw

from sam3agent.masks import Box
from sam3agent.testing import ScriptedSegmenter

SIZE = (96, 64)
PLAYERS: dict[str, list[Box]] = {
    "player in white": [(8, 20, 20, 50), (60, 18, 74, 52)],
    "player in red": [(34, 22, 46, 50)],
}


def drawing() -> Image.Image:
    """The image that `PLAYERS` describes."""
    image = Image.new("RGB", SIZE, "green")
    draw = ImageDraw.Draw(image)
    for phrase, boxes in PLAYERS.items():
        for x0, y0, x1, y1 in boxes:
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=phrase.split()[-1])
    return image


def segmenter() -> ScriptedSegmenter:
    """A segmenter that knows the image."""
    return ScriptedSegmenter(PLAYERS)
