"""Draws training samples of clips as the model gets them: a row per clip, its frames side by side."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam3agent.masks import Mask
from sam3agent.render.marks import Mark, draw_mask
from sam3agent.render.palette import colour_of
from sam3model.data.clip_sample import ClipSample
from sam3model.files import replacing
from sam3model.printable import one_line
from train.contact_sheet import to_image

TILE = 176
COLUMNS = 8
"""Maximum number of frames shown of each clip, evenly spaced."""
_GAP, _BETWEEN, _TITLE, _CHIPS, _FOOT = 16, 4, 22, 20, 34
_PAPER, _INK, _FAINT = (250, 250, 248), (28, 28, 30), (130, 130, 134)
_KEY = (("visible", "visible object"), ("hidden", "hidden or out of the image"), ("unknown", "not annotated"))


def save_clip_sheet(samples: Iterable[ClipSample], path: Path) -> None:
    """Write the samples as one PNG.

    Every object keeps its colour; below each frame is a chip per object that says whether it is visible, hidden or not
    annotated. Raises `OutputError`.
    """
    rows = [_row(sample) for sample in samples]
    width = max(_key_width(), *(row.width for row in rows)) + 2 * _GAP
    sheet = Image.new("RGB", (width, _GAP + sum(row.height + _GAP for row in rows) + _FOOT), _PAPER)
    top = _GAP
    for row in rows:
        sheet.paste(row, (_GAP, top))
        top += row.height + _GAP
    _draw_key(sheet, top)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG")


def _row(sample: ClipSample) -> Image.Image:
    """The name of a sample above its frames."""
    shown = np.unique(np.linspace(0, len(sample.frames) - 1, COLUMNS).round().astype(int)).tolist()
    row = Image.new("RGB", (len(shown) * (TILE + _BETWEEN) - _BETWEEN, _TITLE + TILE + _CHIPS), _PAPER)
    count = sample.masks.shape[1]
    title = f"{sample.name}: {len(sample.frames)} frames, {count} object{'s' * (count != 1)}"
    ImageDraw.Draw(row).text((0, 1), _shortened(title, row.width), font=ImageFont.load_default(14), fill=_INK)
    for column, t in enumerate(shown):
        row.paste(_frame(sample, t), (column * (TILE + _BETWEEN), _TITLE))
    return row


def _frame(sample: ClipSample, t: int) -> Image.Image:
    """A frame with its masks, above the chips of its objects and its number in the sample."""
    tile = Image.new("RGB", (TILE, TILE + _CHIPS), _PAPER)
    canvas = to_image(sample.frames[t]).resize((TILE, TILE), Image.Resampling.LANCZOS)
    masks, known = sample.masks[t].numpy(), sample.annotated[t].tolist()
    for number, mask in enumerate(masks, start=1):
        grown = Image.fromarray(mask.astype(np.uint8) * 255).resize((TILE, TILE), Image.Resampling.BILINEAR)
        if marked := Mask.from_full(np.asarray(grown) > 127):
            draw_mask(canvas, Mark(number, marked), fill=0.25)
    tile.paste(canvas, (0, 0))
    draw = ImageDraw.Draw(tile)
    if not any(known):
        _banner(draw, "not annotated")
    room = max(4, min(16, (TILE - 30) // max(1, len(known))))
    for k, (mask, annotated) in enumerate(zip(masks, known, strict=True)):
        state = "unknown" if not annotated else "visible" if mask.any() else "hidden"
        _chip(draw, (k * room + 1, TILE + 5), state, k + 1)
    number, font = str(t), ImageFont.load_default(12)
    draw.text((TILE - draw.textlength(number, font) - 2, TILE + 3), number, font=font, fill=_FAINT)
    return tile


def _banner(draw: ImageDraw.ImageDraw, text: str) -> None:
    font = ImageFont.load_default(13)
    width = draw.textlength(text, font)
    left = (TILE - width) / 2
    draw.rounded_rectangle((left - 6, TILE - 24, left + width + 6, TILE - 5), 4, fill=_PAPER)
    draw.text((left, TILE - 22), text, font=font, fill=_INK)


def _chip(draw: ImageDraw.ImageDraw, corner: tuple[int, int], state: str, number: int) -> None:
    """A square in the colour of an object: filled if it is visible, hollow if hidden, struck out if not annotated."""
    x, y = corner
    box, colour = (x, y, x + 11, y + 11), colour_of(number)
    draw.rounded_rectangle(box, 3, fill=colour if state == "visible" else None, outline=colour, width=2)
    if state == "unknown":
        draw.line((x + 2, y + 9, x + 9, y + 2), fill=colour, width=2)


def _shortened(text: str, room: int) -> str:
    """A line of text that fits, without its beginning if it is too long."""
    font, measure = ImageFont.load_default(14), ImageDraw.Draw(Image.new("RGB", (1, 1)))
    shown = text = one_line(text)
    while len(text) > 1 and measure.textlength(shown, font) > room:
        text = text[1:]
        shown = f"…{text}"
    return shown


def _key_width() -> int:
    font, measure = ImageFont.load_default(14), ImageDraw.Draw(Image.new("RGB", (1, 1)))
    return sum(round(measure.textlength(meaning, font)) + 50 for _, meaning in _KEY)


def _draw_key(sheet: Image.Image, top: int) -> None:
    draw, font, left = ImageDraw.Draw(sheet), ImageFont.load_default(14), _GAP
    for state, meaning in _KEY:
        _chip(draw, (left, top + 4), state, 1)
        draw.text((left + 20, top + 1), meaning, font=font, fill=_INK)
        left += round(draw.textlength(meaning, font)) + 50
