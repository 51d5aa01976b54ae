"""Crowds of masks in several images: neighbours together, enlarged, so that every number can be read."""

from collections.abc import Sequence

from PIL import Image

from sam3agent.masks import Mask
from sam3agent.render.marks import FAINT, Mark, overlay
from sam3agent.render.zoom import resized

_MARGIN = 16


def neighbours(marks: Sequence[Mark], most: int) -> list[tuple[Mark, ...]]:
    """The marks in parts of at most `most`, each of marks that are near each other, halved along the longer side."""
    if len(marks) <= most:
        return [tuple(marks)]
    centres = {m.id: ((m.mask.box[0] + m.mask.box[2]) / 2, (m.mask.box[1] + m.mask.box[3]) / 2) for m in marks}
    spread = [max(c[axis] for c in centres.values()) - min(c[axis] for c in centres.values()) for axis in (0, 1)]
    axis = 0 if spread[0] >= spread[1] else 1
    ordered = sorted(marks, key=lambda mark: centres[mark.id][axis])
    half = len(ordered) // 2
    parts = (sorted(part, key=lambda mark: mark.id) for part in (ordered[:half], ordered[half:]))
    return [found for part in parts for found in neighbours(part, most)]


def enlarged(image: Image.Image, marks: Sequence[Mark], side: int) -> Image.Image:
    """The part of an image that holds these marks, numbered, with `side` pixels on its longest side."""
    boxes = [mark.mask.box for mark in marks]
    x0, y0 = (max(0, min(box[axis] for box in boxes) - _MARGIN) for axis in (0, 1))
    x1, y1 = (min(image.size[axis], max(box[axis + 2] for box in boxes) + _MARGIN) for axis in (0, 1))
    scale = side / max(x1 - x0, y1 - y0)
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    part = image.resize(size, Image.Resampling.BICUBIC, box=(x0, y0, x1, y1))
    inner = [
        Mark(m.id, resized(Mask(m.mask.crop, m.mask.x - x0, m.mask.y - y0, x1 - x0, y1 - y0), size)) for m in marks
    ]
    return overlay(part, inner, fill=FAINT)
