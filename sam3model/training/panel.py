"""Predictions against the truth as one picture: what a run gets right and wrong, at a glance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sam3model.files import replacing

_COLOURS = np.array(
    [(230, 75, 53), (0, 160, 135), (77, 116, 198), (243, 155, 27), (145, 94, 181), (60, 181, 75), (220, 60, 150)]
)
_TILE, _LINE, _GAP = 200, 14, 4


@dataclass(frozen=True, slots=True)
class Example:
    """A picture (H, W, 3) uint8, what it was asked, and the found and true masks (n, H', W') bool."""

    picture: np.ndarray
    phrase: str
    found: np.ndarray
    truth: np.ndarray


def draw_panel(examples: Sequence[Example], columns: int = 4) -> Image.Image:
    """Tiles of the truth on the left and what was found on the right, with the phrase and both counts above."""
    rows = -(-len(examples) // columns)
    width, height = 2 * _TILE + _GAP, _TILE + _LINE + _GAP
    sheet = Image.new("RGB", (columns * (width + 2 * _GAP), rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, example in enumerate(examples):
        x, y = index % columns * (width + 2 * _GAP), index // columns * height
        count = f"{len(example.truth)} true, {len(example.found)} found"
        pen.text((x + 2, y + 1), f"{example.phrase[:44]}: {count}", fill="black", font_size=11)
        for place, masks in enumerate((example.truth, example.found)):
            tile = Image.fromarray(paint(example.picture, masks)).resize((_TILE, _TILE))
            sheet.paste(tile, (x + place * (_TILE + _GAP), y + _LINE))
    return sheet


def paint(picture: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) greyed, with each mask (n, H', W') in a colour of its own."""
    grey = picture.astype(np.float32).mean(-1, keepdims=True) * 0.6 + picture * 0.2 + 40
    height, width = picture.shape[:2]
    for index, mask in enumerate(masks):
        inside = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        grey[inside] = 0.4 * grey[inside] + 0.6 * _COLOURS[index % len(_COLOURS)]
    return grey.clip(0, 255).astype(np.uint8)


def save_panel(examples: Iterable[Example], path: Path) -> None:
    """Write the panel of some examples as PNG; none if there is no example."""
    examples = list(examples)
    if examples:
        with replacing(path) as temporary:
            draw_panel(examples).save(temporary, format="PNG")
