"""Draws training samples as the model gets them, with their phrases, masks and boxes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sam3agent.masks import Mask
from sam3agent.render.marks import Mark, draw_mask
from sam3agent.render.palette import colour_of
from sam3model.data.queries import FindQuery, Sample
from sam3model.files import replacing
from sam3model.printable import one_line
from sam3model.structures import VISUAL

TILE = 336
COLUMNS = 4
_GAP, _LINE, _FOOT = 16, 24, 44
_PAPER, _INK, _FAINT = (250, 250, 248), (28, 28, 30), (130, 130, 134)
_KEY = (
    ("filled", "instances with masks"),
    ("box", "instances with boxes only"),
    ("hollow", "phrase without a match"),
    ("dashed", "box prompt"),
)


def save_contact_sheet(samples: Sequence[Sample], path: Path) -> None:
    """Write the samples as one PNG, each a tile with its phrases below. Raises `OutputError`."""
    tiles = [_tile(sample) for sample in samples]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.height for tile in row) for row in rows]
    width = _GAP + COLUMNS * (TILE + _GAP)
    sheet = Image.new("RGB", (width, _GAP + sum(heights) + _GAP * len(rows) + _FOOT), _PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (_GAP + column * (TILE + _GAP), top))
        top += height + _GAP
    _draw_key(sheet, top)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG")


def _tile(sample: Sample) -> Image.Image:
    """An image above its name and one line per phrase."""
    tile = Image.new("RGB", (TILE, TILE + _LINE * (1 + len(sample.queries)) + 6), _PAPER)
    tile.paste(_draw_sample(sample), (0, 0))
    draw = ImageDraw.Draw(tile)
    _write(draw, (0, TILE + 4), sample.name, _FAINT, size=13, end=True)
    for number, query in enumerate(sample.queries, start=1):
        top = TILE + 4 + number * _LINE
        if len(query.boxes):
            draw.rounded_rectangle((1, top + 3, 13, top + 15), 3, fill=colour_of(number))
            _write(draw, (22, top), _caption(query), _INK)
        else:
            draw.rounded_rectangle((1, top + 3, 13, top + 15), 3, outline=_FAINT, width=2)
            _write(draw, (22, top), query.phrase, _FAINT)
    return tile


def _caption(query: FindQuery) -> str:
    phrase = "box only" if query.phrase == VISUAL else query.phrase
    return f"{phrase} ({len(query.boxes)}{'' if query.exhaustive else ' or more'})"


def _draw_sample(sample: Sample) -> Image.Image:
    """The model input with the instances of every query in the colour of its line."""
    canvas = to_image(sample.pixels).resize((TILE, TILE), Image.Resampling.LANCZOS)
    for number, query in enumerate(sample.queries, start=1):
        for mask in query.masks[query.masks.any((1, 2))]:
            grown = np.asarray(
                Image.fromarray(mask.view(np.uint8) * 255).resize((TILE, TILE), Image.Resampling.BILINEAR)
            )
            if marked := Mask.from_full(grown > 127):
                draw_mask(canvas, Mark(number, marked), fill=0.4)
    draw = ImageDraw.Draw(canvas)
    for number, query in enumerate(sample.queries, start=1):
        for box in query.boxes[~query.masks.any((1, 2))]:
            _rectangle(draw, _corners(box), colour_of(number))
        for box in () if query.exemplars is None else query.exemplars:
            _dashed(draw, _corners(box))
    return canvas


def to_image(pixels: Tensor) -> Image.Image:
    """The model input (3, S, S) as an image."""
    values = (pixels * 127.5 + 127.5).round().clamp(0, 255)
    return Image.fromarray(values.permute(1, 2, 0).numpy().astype(np.uint8))


def _corners(box: np.ndarray) -> tuple[float, float, float, float]:
    x, y, w, h = (float(side) * TILE for side in box)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _rectangle(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
    """A rectangle with a white rim, visible on any background."""
    x0, y0, x1, y1 = box
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline="white", width=4)
    draw.rectangle(box, outline=colour, width=2)


def _dashed(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], dash: int = 6) -> None:
    x0, y0, x1, y1 = (round(side) for side in box)
    for colour, shift in (("white", 0), ("black", dash)):
        for x in range(x0 + shift, x1, 2 * dash):
            for y in (y0, y1):
                draw.line((x, y, min(x + dash, x1), y), fill=colour, width=2)
        for y in range(y0 + shift, y1, 2 * dash):
            for x in (x0, x1):
                draw.line((x, y, x, min(y + dash, y1)), fill=colour, width=2)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: tuple[int, int, int], size: int = 15,
    end: bool = False,
) -> None:  # fmt: skip
    """A line of text, shortened to fit into the tile; `end` keeps the end of the text instead of its start."""
    font = ImageFont.load_default(size)
    room = TILE - place[0]
    shown = text = one_line(text)
    while len(text) > 1 and draw.textlength(shown, font) > room:
        text = text[1:] if end else text[:-1]
        shown = f"…{text}" if end else f"{text}…"
    draw.text(place, shown, font=font, fill=colour)


def _draw_key(sheet: Image.Image, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    left = _GAP
    font = ImageFont.load_default(14)
    for kind, meaning in _KEY:
        box = (left, top + 3, left + 18, top + 17)
        if kind == "filled":
            draw.rounded_rectangle(box, 3, fill=colour_of(2))
        elif kind == "box":
            _rectangle(draw, box, colour_of(1))
        elif kind == "hollow":
            draw.rounded_rectangle(box, 3, outline=_FAINT, width=2)
        else:
            _dashed(draw, box, dash=4)
        draw.text((left + 26, top + 1), meaning, font=font, fill=_INK)
        left += 26 + round(draw.textlength(meaning, font)) + 36
