"""Masks as image files beside an overlay: black and white, and the objects cut out."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sam3agent.answer import SelectedMask, Selection
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
    """Write every mask in some formats; returns the paths by format.

    On a clip, each mask is the one on the frame of the overlay or, if it is not there, on the frame with most of it.

    Raises `OutputError` if a file cannot be written.
    """
    frame = selection.frame
    drawn = defaultdict[int, list[SelectedMask]](list)  # so that a frame of a clip is decoded once
    for chosen in selection.masks if formats else ():
        drawn[frame if frame in chosen.masklet.areas else chosen.masklet.key_frame].append(chosen)
    for at, masks in sorted(drawn.items()):
        image = selection.media.frame(at)
        for chosen, name in itertools.product(masks, formats):
            with replacing(_path(folder, name, chosen)) as temporary:
                FORMATS[name](image, chosen.masklet.masks[at]).save(temporary, "PNG")
    return {name: [str(_path(folder, name, chosen)) for chosen in selection.masks] for name in formats}


def _path(folder: Path, name: str, chosen: SelectedMask) -> Path:
    return folder / f"{name}-{chosen.id}.png"
