"""Painting on a mask: what a brush covers is added to an object, or taken from it. No model is involved."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Mask
from sam3agent.servers.studio.studio_engine import NEW_LABEL, StudioEngine, known_object
from sam3agent.servers.studio.studio_sheet import SheetObject
from sam3model.errors import InputError

Spot = tuple[float, float]


def painted(
    engine: StudioEngine, item_id: str, object_id: int | None, stroke: Sequence[Spot], radius: float, add: bool,
    label: str, frame: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Add a stroke (points in pixels) to the mask of an object, or take it away; without an object, start a new one.

    Raises `InputError` if nothing would be left, or the object is not there (any more).
    """
    opened = engine.open(item_id, frame)
    with opened.turn:
        engine.check_free(item_id)
        sheet = engine.store.sheet(item_id)
        known = None if object_id is None else known_object(sheet, object_id)
        if known is None and not add:
            raise InputError("choose the object to erase from: click on its mask first")
        earlier = None if known is None else engine.mask(known, frame, opened)
        brush = stroke_pixels(opened.media.size, stroke, radius)
        before = np.zeros_like(brush) if earlier is None else earlier.full()
        mask = Mask.from_full(before | brush if add else before & ~brush)
        if mask is None:
            raise InputError("nothing would be left of this object: delete it instead")
        if known is None:
            new = engine.store.next_id(item_id)
            known = SheetObject(new, label or NEW_LABEL, "paint", 0, why="You painted it", frame=frame)
        what = f"{'paint' if add else 'erase'} {known.label} {known.id}"
        return engine.reshape(opened, sheet, replace(known, kept=True), mask, frame, what)


def stroke_pixels(size: tuple[int, int], stroke: Sequence[Spot], radius: float) -> NDArray[np.bool_]:
    """The pixels (H, W) that a round brush covers along a stroke, for an image of `size` (width, height)."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", size)
    draw = ImageDraw.Draw(canvas)
    if len(stroke) > 1:
        draw.line(list(stroke), fill=255, width=max(1, round(2 * radius)))
    for x, y in stroke:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas) > 0
