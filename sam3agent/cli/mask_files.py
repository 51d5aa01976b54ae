"""Masks as image files beside an overlay: black and white, and the objects cut out."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
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
    """Write every mask in some formats, of a clip on the frame that the overlay shows, or, if it is not there, on the
    one with most of it; the paths written, by format. Files of these formats from an earlier answer are deleted.

    Raises `OutputError` if a file cannot be written.
    """
    frame = selection.frame
    written: dict[str, list[str]] = {name: [] for name in formats}
    for chosen in selection.masks if formats else ():
        at = frame if frame in chosen.masklet.areas else chosen.masklet.key_frame
        image, mask = selection.media.frame(at), chosen.masklet.masks[at]
        for name in formats:
            path = folder / f"{name}-{chosen.id}.png"
            with replacing(path) as temporary:
                FORMATS[name](image, mask).save(temporary, "PNG")
            written[name].append(str(path))
    for name, paths in written.items():
        _delete_others(folder, name, paths)
    return written


def _delete_others(folder: Path, name: str, paths: Sequence[str]) -> None:
    """Delete the files of a format that are not of this answer; one that stays does no harm to it."""
    for old in folder.glob(f"{name}-*.png"):
        if re.fullmatch(rf"{name}-\d+\.png", old.name) and str(old) not in paths:
            with suppress(OSError):
                old.unlink()
