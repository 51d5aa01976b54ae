"""Masks as image files beside an overlay: black and white, and the objects cut out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sam3agent.answer import Selection
from sam3agent.masks import Mask
from sam3model.files import replacing

if TYPE_CHECKING:
    from PIL import Image


def _black_and_white(_: "Image.Image", mask: Mask) -> "Image.Image":
    """The mask at the size of the image: 255 inside, 0 outside."""
    from PIL import Image

    return Image.fromarray(mask.full().view(np.uint8) * np.uint8(255))


def _cutout(image: "Image.Image", mask: Mask) -> "Image.Image":
    """The object inside its box on a clear background."""
    from PIL import Image

    part = image.crop(mask.box).convert("RGBA")
    part.putalpha(Image.fromarray(mask.crop.view(np.uint8) * np.uint8(255)))
    return part


FORMATS: dict[str, Callable[["Image.Image", Mask], "Image.Image"]] = {"png": _black_and_white, "cutout": _cutout}
"""What --format may name. Files are called FORMAT-ID.png."""


def write_formats(selection: Selection, folder: Path, formats: Sequence[str]) -> dict[str, list[str]]:
    """Write every mask on the frame that the overlay shows in some formats; the paths written, by format.

    Raises `OutputError` if a file cannot be written.
    """
    if not formats:
        return {}
    frame = selection.frame
    image = selection.media.frame(frame)
    shown = [(mask.id, mask.masklet.masks[frame]) for mask in selection.masks if frame in mask.masklet.masks]
    written: dict[str, list[str]] = {}
    for name in formats:
        written[name] = []
        for mask_id, mask in shown:
            path = folder / f"{name}-{mask_id}.png"
            with replacing(path) as temporary:
                FORMATS[name](image, mask).save(temporary, "PNG")
            written[name].append(str(path))
    return written
