"""Masks drawn on a picture. All work happens inside the boxes of the masks, in Pillow's C code."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from sam3agent.masks import Mask
from sam3agent.render.labels import place, plate_image, text_height
from sam3agent.render.palette import RGB, colour_of


@dataclass(frozen=True, slots=True)
class Mark:
    """A mask to draw under its id; `text` replaces the number on the plate."""

    id: int
    mask: Mask
    text: str | None = None

    @property
    def colour(self) -> RGB:
        """The colour of the id."""
        return colour_of(self.id)


def overlay(image: Image.Image, marks: Sequence[Mark], *, fill: float = 0.34, numbers: bool = True) -> Image.Image:
    """A copy of the picture with every mask tinted, outlined and numbered.

    Args:
        image: RGB picture of (width, height).
        marks: masks at the size of the picture; larger ones are drawn first, so that small ones stay visible.
        fill: opacity of the tint, 0..1.
        numbers: whether to draw number plates.
    """
    canvas = image.copy()
    for mark in _back_to_front(marks):
        draw_mask(canvas, mark, fill)
    if numbers:
        _draw_plates(canvas, marks)
    return canvas


def spotlight(image: Image.Image, marks: Sequence[Mark], *, dim: float = 0.5) -> Image.Image:
    """A copy of the picture with the masks in full light and everything else dimmed: how an answer is shown."""
    canvas = image.point([round(value * (1 - dim)) for value in range(256)] * 3)
    for mark in marks:
        mask = mark.mask
        lit = Image.fromarray(mask.crop.view(np.uint8) * np.uint8(255))
        canvas.paste(image.crop(mask.box), (mask.x, mask.y), lit)
    for mark in _back_to_front(marks):
        draw_mask(canvas, mark, fill=0.0)
    _draw_plates(canvas, marks)
    return canvas


def line_width(size: tuple[int, int]) -> int:
    """Half the width of outlines, in pixels, for a picture of (width, height)."""
    return max(1, round(min(size) / 420))


def draw_mask(canvas: Image.Image, mark: Mark, fill: float) -> None:
    """Tint a mask and outline it, white outside and coloured inside, in place."""
    mask, reach = mark.mask, line_width(canvas.size)
    padded = np.pad(mask.crop.view(np.uint8) * np.uint8(255), 2 * reach)
    soft = Image.fromarray(padded).filter(ImageFilter.BoxBlur(reach))
    corner = (mask.x - 2 * reach, mask.y - 2 * reach)
    canvas.paste((255, 255, 255), corner, soft.point(_rim(0.05, 0.55, 0.0)))
    canvas.paste(mark.colour, corner, soft.point(_rim(0.5, 0.95, fill)))


@lru_cache(maxsize=16)
def _rim(low: float, high: float, inside: float) -> list[int]:
    """Opacity by level of a blurred mask: full between two levels, fading at both, and `inside` above them."""
    level = np.arange(256) / 255
    rise, fall = np.clip((level - low) / 0.15 + 0.5, 0, 1), np.clip((high - level) / 0.15 + 0.5, 0, 1)
    opacity = np.minimum(rise, inside + (1 - inside) * fall)
    opacity[0], opacity[-1] = 0, inside
    return [int(value) for value in np.round(255 * opacity)]


def _back_to_front(marks: Sequence[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: -mark.mask.area)


def _draw_plates(canvas: Image.Image, marks: Sequence[Mark]) -> None:
    """Number plates for all marks; small masks choose their spot first."""
    ordered = sorted(marks, key=lambda mark: mark.mask.area)
    height = text_height(canvas.size)
    plates = [plate_image(mark.text or str(mark.id), mark.colour, height) for mark in ordered]
    spots = place([mark.mask for mark in ordered], [plate.size for plate in plates], canvas.size)
    for plate, spot in zip(plates, spots, strict=True):
        canvas.paste(plate, spot[:2], plate)
