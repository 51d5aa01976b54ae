"""Draws masks on an image. For speed, only pixels inside their boxes are processed, by Pillow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from sam3agent.masks import Mask, Masklet, best_frame
from sam3agent.render.labels import LabelPlaces, label_image, place, text_height
from sam3agent.render.palette import RGB, colour_of

MAX_PHRASE = 24
"""Maximum number of characters of a phrase on a label."""


FAINT = 0.08
"""Opacity of the tint where a model judges colours: from about 0.1 on, tints change the names of many."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mask to draw with its id. text: replaces the id on the label."""

    id: int
    mask: Mask
    text: str | None = None

    @property
    def colour(self) -> RGB:
        """The colour of the id."""
        return colour_of(self.id)


def best_marks(
    masklets: Sequence[tuple[int, Masklet]], phrases: Mapping[int, str] | None = None
) -> tuple[int, tuple[Mark, ...]]:
    """The best frame to show masklets (id, masklet) on, and the marks of those that are visible there.

    phrases: what found each mask, by id. If they differ, labels show them beside the id.
    """
    frame = best_frame([masklet for _, masklet in masklets])
    texts = _texts(phrases or {})
    marks = (Mark(i, masklet.masks[frame], texts.get(i)) for i, masklet in masklets if frame in masklet.masks)
    return frame, tuple(marks)


def _texts(phrases: Mapping[int, str]) -> dict[int, str]:
    """Labels of ids and phrases; none if all have the same phrase."""
    if len(set(phrases.values())) < 2:
        return {}
    short = {i: " ".join(phrase.split()) for i, phrase in phrases.items()}
    return {
        i: f"{i} {phrase if len(phrase) <= MAX_PHRASE else phrase[: MAX_PHRASE - 1] + '…'}"
        for i, phrase in short.items()
    }


def overlay(
    image: Image.Image,
    marks: Sequence[Mark],
    *,
    fill: float = 0.34,
    numbers: bool = True,
    places: LabelPlaces | None = None,
) -> Image.Image:
    """A copy of the image with every mask tinted, outlined and numbered.

    Args:
        image: RGB image.
        marks: masks of the same size as the image. Larger ones are drawn first, so that small ones stay visible.
        fill: opacity of the tint, 0..1.
        numbers: whether to draw number labels.
        places: where labels were on the last frame of a clip; updated.
    """
    canvas = image.copy()
    for mark in _back_to_front(marks):
        draw_mask(canvas, mark, fill)
    if numbers:
        _draw_labels(canvas, marks, places)
    return canvas


def spotlight(image: Image.Image, marks: Sequence[Mark], *, dim: float = 0.5) -> Image.Image:
    """A copy of the image with everything outside the masks dimmed, as answers are shown."""
    canvas = image.point([round(value * (1 - dim)) for value in range(256)] * 3)
    for mark in marks:
        mask = mark.mask
        lit = Image.fromarray(mask.crop.view(np.uint8) * np.uint8(255))
        canvas.paste(image.crop(mask.box), (mask.x, mask.y), lit)
    for mark in _back_to_front(marks):
        draw_mask(canvas, mark, fill=0.0)
    _draw_labels(canvas, marks)
    return canvas


def line_width(size: tuple[int, int]) -> int:
    """Half the width of outlines in pixels, for an image of (width, height)."""
    return max(1, round(min(size) / 420))


def draw_mask(canvas: Image.Image, mark: Mark, fill: float) -> None:
    """Tint a mask and outline it in white and in its colour, in place."""
    mask, reach = mark.mask, line_width(canvas.size)
    padded = np.pad(mask.crop.view(np.uint8) * np.uint8(255), 2 * reach)
    soft = Image.fromarray(padded).filter(ImageFilter.BoxBlur(reach))
    corner = (mask.x - 2 * reach, mask.y - 2 * reach)
    canvas.paste((255, 255, 255), corner, soft.point(_rim(0.05, 0.55, 0.0)))
    canvas.paste(mark.colour, corner, soft.point(_rim(0.5, 0.95, fill)))


@lru_cache(maxsize=16)
def _rim(low: float, high: float, inside: float) -> list[int]:
    """Opacity for each level of a blurred mask: full between `low` and `high` with soft edges, `inside` above."""
    level = np.arange(256) / 255
    rise, fall = np.clip((level - low) / 0.15 + 0.5, 0, 1), np.clip((high - level) / 0.15 + 0.5, 0, 1)
    opacity = np.minimum(rise, inside + (1 - inside) * fall)
    opacity[0], opacity[-1] = 0, inside
    return [int(value) for value in np.round(255 * opacity)]


def _back_to_front(marks: Sequence[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: -mark.mask.area)


def _draw_labels(canvas: Image.Image, marks: Sequence[Mark], places: LabelPlaces | None = None) -> None:
    """Draw number labels for all marks. Small masks get their spots first."""
    ordered = sorted(marks, key=lambda mark: mark.mask.area)
    height = text_height(canvas.size)
    labels = [label_image(mark.text or str(mark.id), mark.colour, height) for mark in ordered]
    kept = [
        places.remembered(m.id, m.mask, label.size) if places else None
        for m, label in zip(ordered, labels, strict=True)
    ]
    spots = place([mark.mask for mark in ordered], [label.size for label in labels], canvas.size, kept)
    for mark, label, spot in zip(ordered, labels, spots, strict=True):
        canvas.paste(label, spot[:2], label)
        if places:
            places.keep(mark.id, mark.mask, spot)
