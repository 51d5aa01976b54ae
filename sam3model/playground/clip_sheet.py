"""A sheet of clips to look at: a row per clip, with a question whose answer is outlined on every frame.

`python -m sam3model.playground.clip_sheet clips.png --clips 3 8 21` draws three clips of the split `heldout`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam3model.errors import InputError, Sam3Error
from sam3model.files import replacing
from sam3model.playground.clip import Clip, clip
from sam3model.playground.clip_questions import clip_questions

WIDTH = 200
"""Width of a frame on the sheet, in pixels."""
_GAP, _BETWEEN, _TITLE = 12, 4, 22
_PAPER, _INK, _MARK = (250, 250, 248), (28, 28, 30), (255, 45, 85)


def save_clip_rows(clips: Sequence[Clip], path: Path, columns: int = 6) -> None:
    """Write the first, the last and evenly spaced frames of each clip, `columns` in all, as one PNG file.

    Raises:
        InputError: no clips or fewer than two columns.
        OutputError: the file cannot be written.
    """
    if not clips or columns < 2:
        raise InputError("a sheet needs at least one clip and two columns")
    rows = [_row(shown, columns) for shown in clips]
    sheet = Image.new("RGB", (rows[0].width + 2 * _GAP, _GAP + sum(row.height + _GAP for row in rows)), _PAPER)
    top = _GAP
    for row in rows:
        sheet.paste(row, (_GAP, top))
        top += row.height + _GAP
    with replacing(path) as temporary:
        sheet.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)


def _row(shown: Clip, columns: int) -> Image.Image:
    """The frames of a clip below its first question that has an answer."""
    question = next((one for one in clip_questions(shown) if one.ids), None)
    ids = question.ids if question else ()
    height = round(WIDTH * shown.size[1] / shown.size[0])
    row = Image.new("RGB", (columns * (WIDTH + _BETWEEN) - _BETWEEN, _TITLE + height), _PAPER)
    title = f"{shown.name[0]}/{shown.name[1]}, {shown.count} frames" + (f": {question.text}" if question else "")
    ImageDraw.Draw(row).text((0, 1), title, font=ImageFont.load_default(14), fill=_INK)
    for column, t in enumerate(np.linspace(0, shown.count - 1, columns).round().astype(int).tolist()):
        frame = shown.frame(t)
        image = Image.fromarray(frame.image).resize((WIDTH, height), Image.Resampling.LANCZOS)
        marked = Image.fromarray(np.isin(frame.owners, np.add(ids, 1)).astype(np.uint8) * 255)
        image.paste(_MARK, mask=Image.fromarray(_outline(np.asarray(marked.resize(image.size)) > 127)))
        row.paste(image, (column * (WIDTH + _BETWEEN), _TITLE))
    return row


def _outline(mask: np.ndarray) -> np.ndarray:
    """The two pixels around a mask (H, W), as 0 or 255."""
    grown = np.pad(mask, 2)
    for axis in (0, 1):
        grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
        grown = grown | np.roll(grown, 1, axis) | np.roll(grown, -1, axis)
    return ((grown[2:-2, 2:-2] & ~mask) * 255).astype(np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Draw frames of Playground clips on one sheet.")
    parser.add_argument("file", type=Path, help="the PNG file to write")
    parser.add_argument("--clips", type=int, nargs="+", default=[0, 1, 2, 3], help="indices (default: 0 1 2 3)")
    parser.add_argument("--split", default="heldout", help="Playground split (default: heldout)")
    parser.add_argument("--columns", type=int, default=6, help="frames of each clip (default: 6)")
    args = parser.parse_args(arguments)
    try:
        save_clip_rows([clip(args.split, index) for index in args.clips], args.file, args.columns)
    except Sam3Error as error:
        parser.exit(2, f"clip_sheet: {error}\n")


if __name__ == "__main__":
    main()
