"""Several images side by side with captions: a quick look at a clip."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

TILE_SIDE = 480
"""Longest side of an image in a strip, in pixels."""

PAPER, INK = (24, 24, 27), (228, 228, 231)


def strip(images: Sequence[Image.Image], captions: Sequence[str], columns: int = 3) -> Image.Image:
    """The images, all of one size, in rows of at most `columns`, each with its caption below."""
    wide, tall = images[0].size
    line = max(10, wide // 24)
    gap, band = max(4, wide // 60), line * 2
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (gap + columns * (wide + gap), gap + rows * (tall + band)), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(line)
    for position, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = gap + position % columns * (wide + gap), gap + position // columns * (tall + band)
        canvas.paste(image, (x, y))
        draw.text((x + 2, y + tall + (band - line) // 3), caption, font=font, fill=INK)
    return canvas
