"""Draws predictions beside the ground truth, to see at a glance what a run gets right and wrong."""

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
    """An image (H, W, 3) uint8, a phrase, and its predicted and true masks (n, H', W') bool."""

    image: np.ndarray
    phrase: str
    predicted: np.ndarray
    truth: np.ndarray


def draw_panel(examples: Sequence[Example], columns: int = 4) -> Image.Image:
    """Pairs of tiles, ground truth left and prediction right, under the phrase and the number of masks in each."""
    rows = -(-len(examples) // columns)
    width, height = 2 * _TILE + _GAP, _TILE + _LINE + _GAP
    sheet = Image.new("RGB", (columns * (width + 2 * _GAP), rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, example in enumerate(examples):
        x, y = index % columns * (width + 2 * _GAP), index // columns * height
        count = f"{len(example.truth)} true, {len(example.predicted)} predicted"
        pen.text((x + 2, y + 1), f"{example.phrase[:44]}: {count}", fill="black", font_size=11)
        for place, masks in enumerate((example.truth, example.predicted)):
            tile = Image.fromarray(paint(example.image, masks)).resize((_TILE, _TILE))
            sheet.paste(tile, (x + place * (_TILE + _GAP), y + _LINE))
    return sheet


def paint(image: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) in grey, with each of the masks (n, H', W') in its own colour."""
    grey = image.astype(np.float32).mean(-1, keepdims=True) * 0.6 + image * 0.2 + 40
    height, width = image.shape[:2]
    for index, mask in enumerate(masks):
        inside = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
        grey[inside] = 0.4 * grey[inside] + 0.6 * _COLOURS[index % len(_COLOURS)]
    return grey.clip(0, 255).astype(np.uint8)


def save_panel(examples: Iterable[Example], path: Path, columns: int = 4) -> None:
    """Write the panel as PNG; nothing is written without examples. Raises OutputError."""
    examples = list(examples)
    if examples:
        with replacing(path) as temporary:
            draw_panel(examples, columns).save(temporary, format="PNG")
