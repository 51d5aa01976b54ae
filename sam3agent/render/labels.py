"""Number labels of masks, placed so that they do not overlap each other or hide small objects."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sam3agent.masks import Mask
from sam3agent.render.palette import RGB, ink_on

Rect = tuple[int, int, int, int]

_COARSE = 32
_SUPERSAMPLING = 3

_INSIDE, _KEPT_INSIDE, _KEPT_OUTSIDE = 16, 12, 20
"""Areas of a mask, in areas of its label, from which the label is on it; a label that is there moves later."""

_LITTLE = 0.02
"""Fraction of a mask that the label of another may hide."""


def text_height(size: tuple[int, int]) -> int:
    """Height of label text in pixels for an image of (width, height)."""
    return max(13, round(min(size) / 42))


@lru_cache(maxsize=256)
def label_image(text: str, colour: RGB, height: int) -> Image.Image:
    """A rounded label with a white border, anti-aliased RGBA."""
    scale = _SUPERSAMPLING
    font = ImageFont.load_default(height * scale)
    left, top, right, bottom = font.getbbox(text)
    tall = round(height * 1.45) * scale
    wide = max(tall, round(right - left) + round(height * 0.8) * scale)
    label = Image.new("RGBA", (wide, tall), (0, 0, 0, 0))
    draw = ImageDraw.Draw(label)
    rim = max(1, round(height / 11)) * scale
    draw.rounded_rectangle((0, 0, wide - 1, tall - 1), tall // 2, fill=(255, 255, 255, 255))
    draw.rounded_rectangle((rim, rim, wide - 1 - rim, tall - 1 - rim), tall // 2 - rim, fill=(*colour, 255))
    draw.text(((wide - left - right) / 2, (tall - top - bottom) / 2), text, font=font, fill=(*ink_on(colour), 255))
    return label.resize((wide // scale, tall // scale), Image.Resampling.BOX)


class LabelPlaces:
    """Where labels were on the last frame of a clip, relative to their masks, so that they do not jump; mutable."""

    def __init__(self) -> None:
        self._offsets: dict[int, tuple[bool, int, int]] = {}

    def remembered(self, mask_id: int, mask: Mask, size: tuple[int, int]) -> tuple[int, int] | None:
        """The top-left corner that moved along with the mask; None if it is new, or the label no longer belongs there.

        size: width and height of the label.
        """
        if mask_id not in self._offsets:
            return None
        inside, dx, dy = self._offsets[mask_id]
        x, y = (round(side) for side in _centre_of_mass(mask))
        area = size[0] * size[1]
        if inside:
            fits = area * _KEPT_INSIDE <= mask.area and _holds(mask, x + dx + size[0] // 2, y + dy + size[1] // 2)
        else:
            fits = area * _KEPT_OUTSIDE > mask.area
        return (x + dx, y + dy) if fits else None

    def keep(self, mask_id: int, mask: Mask, rect: Rect) -> None:
        """Remember where a label is."""
        x, y = (round(side) for side in _centre_of_mass(mask))
        inside = _holds(mask, (rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2)
        self._offsets[mask_id] = (inside, rect[0] - x, rect[1] - y)


def place(
    masks: list[Mask],
    sizes: list[tuple[int, int]],
    frame: tuple[int, int],
    preferred: Sequence[tuple[int, int] | None] | None = None,
) -> list[Rect]:
    """A rectangle inside the image for each label, in the order of the masks: the first good spot of several.

    A good spot is free of other labels and hides little of any mask. If there is none, labels do not overlap if that is
    possible, and then hide as little as possible.

    preferred: a top-left corner to try first for each label, or None.
    """
    taken: list[Rect] = []
    for own, ((wide, tall), first) in enumerate(zip(sizes, preferred or [None] * len(masks), strict=True)):
        corners = [*([first] if first else []), *_spots(masks[own], wide, tall)]
        spots = [_clamp(x, y, wide, tall, frame) for x, y in corners]
        taken.append(
            min(spots, key=lambda spot: (sum(_overlap(spot, other) for other in taken), _hidden(spot, masks, own)))
        )
    return taken


def _hidden(rect: Rect, masks: Sequence[Mask], own: int) -> float:
    """The largest fraction of a mask that the label of mask `own` would hide in a rectangle; 0 if that is little."""
    covered = 0.0
    for number, mask in enumerate(masks):
        if _overlap(rect, mask.box):
            x0, y0, x1, y1 = (side - start for side, start in zip(rect, (mask.x, mask.y) * 2, strict=True))
            fraction = float(mask.crop[max(0, y0) : y1, max(0, x0) : x1].sum()) / mask.area
            little = 1 / _KEPT_INSIDE if number == own else _LITTLE
            covered = max(covered, fraction if fraction > little else 0.0)
    return covered


def _spots(mask: Mask, wide: int, tall: int) -> list[tuple[int, int]]:
    """Top-left corners to try: the deepest point of the mask if the label covers little of it, then around the box."""
    x0, y0, x1, y1 = mask.box
    middle = (x0 + x1 - wide) // 2
    around = [
        (middle, y0 - tall - 2),
        (middle, y1 + 2),
        (x1 + 2, y0),
        (x0 - wide - 2, y0),
        (x1 + 2, y1 - tall),
        (x0 - wide - 2, y1 - tall),
        (x0, y0 - 2 * tall - 4),
        (x1 - wide, y1 + tall + 4),
    ]
    if wide * tall * _INSIDE > mask.area:
        return around
    x, y = _deepest(mask)
    inside = [(x - wide // 2, y - tall // 2)]
    return inside + [(x - wide // 2, y - tall // 2 + step * tall) for step in (-1, 1)] + around


def _holds(mask: Mask, x: int, y: int) -> bool:
    """Whether a point of the image is on a mask."""
    x0, y0, x1, y1 = mask.box
    return x0 <= x < x1 and y0 <= y < y1 and bool(mask.crop[y - y0, x - x0])


def _centre_of_mass(mask: Mask) -> tuple[float, float]:
    height, width = mask.crop.shape
    x = float(mask.crop.sum(0) @ np.arange(width)) / mask.area
    y = float(mask.crop.sum(1) @ np.arange(height)) / mask.area
    return mask.x + x, mask.y + y


def _deepest(mask: Mask) -> tuple[int, int]:
    """A point far from the border of the mask, found by eroding a downsampled copy."""
    step = max(1, max(mask.crop.shape) // _COARSE)
    coarse = np.pad(mask.crop[step // 2 :: step, step // 2 :: step], 1)
    depth = coarse.astype(np.int16)
    while coarse.any():
        inner = coarse[1:-1, 1:-1] & coarse[:-2, 1:-1] & coarse[2:, 1:-1] & coarse[1:-1, :-2] & coarse[1:-1, 2:]
        coarse = np.pad(inner, 1)
        depth += coarse
    rows, columns = np.nonzero(depth == depth.max())
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    row, column = int(rows[nearest]) - 1, int(columns[nearest]) - 1
    return mask.x + column * step + step // 2, mask.y + row * step + step // 2


def _clamp(x: int, y: int, wide: int, tall: int, frame: tuple[int, int]) -> Rect:
    x, y = max(0, min(x, frame[0] - wide)), max(0, min(y, frame[1] - tall))
    return x, y, x + wide, y + tall


def _overlap(a: Rect, b: Rect) -> int:
    """Number of pixels in both rectangles."""
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
