"""Several images in one: side by side with captions, for a quick look at a clip, or numbered for a model."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

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


def squares(images: Sequence[Image.Image], captions: Sequence[str], side: int) -> Image.Image:
    """Images of any sizes beside each other, each in a square of `side` pixels, with its caption below."""
    return strip([ImageOps.pad(image, (side, side), color=PAPER) for image in images], captions)


PANELS_SIDE = 1024
"""Longest side of an image among panels, in pixels."""


def panels(images: Sequence[Image.Image]) -> Image.Image:
    """Images of any sizes, one below the other or in two columns, each under a bar with its number."""
    small = [image.copy() for image in images]
    for image in small:
        image.thumbnail((PANELS_SIDE, PANELS_SIDE))
    columns = 1 if len(small) < 2 else 2
    wide, bar = max(image.width for image in small), 28
    rows = [small[at : at + columns] for at in range(0, len(small), columns)]
    tall = [max(image.height for image in row) + bar for row in rows]
    canvas = Image.new("RGB", (columns * wide, sum(tall)), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(bar - 8)
    for number, image in enumerate(small):
        row, column = divmod(number, columns)
        x, y = column * wide, sum(tall[:row])
        draw.text((x + 6, y + 2), f"image {number + 1}", font=font, fill=INK)
        canvas.paste(image, (x, y + bar))
    return canvas
