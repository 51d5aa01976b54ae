"""One mask at a time: its place in the whole image, and a close-up."""

import numpy as np
from PIL import Image

from sam3agent.masks import Mask
from sam3agent.render.marks import FAINT, Mark, draw_mask, overlay

WHOLE_SIDE = 1024
ZOOM_SIDE = 640
MARGIN, WIDE_MARGIN = 0.35, 1.2
"""What is shown around a mask, in sides of its box: for a look at it, and for a second, different one."""
_MIN_MARGIN = 24


def fit(image: Image.Image, marks: tuple[Mark, ...], side: int) -> tuple[Image.Image, tuple[Mark, ...]]:
    """The image and its masks, scaled down if the longest side exceeds `side` pixels."""
    size = fitted_size(image.size, side)
    if size == image.size:
        return image, marks
    small = image.resize(size, Image.Resampling.BOX if side / max(image.size) < 0.5 else Image.Resampling.BICUBIC)
    return small, tuple(Mark(mark.id, resized(mark.mask, size), mark.text) for mark in marks)


def fitted_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height scaled down so that the longest side is at most `side` pixels."""
    scale = side / max(size)
    return size if scale >= 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def locate(image: Image.Image, mark: Mark, side: int = WHOLE_SIDE) -> Image.Image:
    """The whole image with one mask, at most `side` pixels on the longest side."""
    small, (mark,) = fit(image, (mark,), side)
    return overlay(small, [mark], fill=FAINT)


def zoom(image: Image.Image, mark: Mark, side: int = ZOOM_SIDE, *, margin_ratio: float = MARGIN) -> Image.Image:
    """A crop around one mask, `side` pixels on the longest side. The mask is outlined but not tinted."""
    mask = mark.mask
    x0, y0, x1, y1 = mask.box
    margin = max(_MIN_MARGIN, round(max(x1 - x0, y1 - y0) * margin_ratio))
    x0, y0, x1, y1 = (
        max(0, x0 - margin),
        max(0, y0 - margin),
        min(mask.width, x1 + margin),
        min(mask.height, y1 + margin),
    )
    scale = side / max(x1 - x0, y1 - y0)
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    canvas = image.resize(size, Image.Resampling.BICUBIC, box=(x0, y0, x1, y1))
    inner = Mask(mask.crop, mask.x - x0, mask.y - y0, x1 - x0, y1 - y0)
    draw_mask(canvas, Mark(mark.id, resized(inner, size)), fill=0)
    return canvas


def resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask scaled to an image of (width, height)."""
    fx, fy = size[0] / mask.width, size[1] / mask.height
    x0, y0, x1, y1 = mask.box
    x, y = min(int(x0 * fx), size[0] - 1), min(int(y0 * fy), size[1] - 1)
    wide = max(1, min(round(x1 * fx), size[0]) - x)
    tall = max(1, min(round(y1 * fy), size[1]) - y)
    crop = Image.fromarray(mask.crop.view(np.uint8) * np.uint8(255)).resize((wide, tall), Image.Resampling.BILINEAR)
    bits = np.asarray(crop) >= 128
    return Mask(bits if bits.any() else np.ones_like(bits), x, y, size[0], size[1])
