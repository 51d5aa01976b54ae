"""Picture files to pixels, upright and at the size that their annotations speak of."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sam3model.errors import DataError

UNREADABLE = "picture that cannot be read"
OTHER_SIZE = "picture of another size than its annotations say"


def read_picture(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture as (3, H, W) uint8, transparent parts on white.

    It is turned upright as its camera says, unless it was annotated without that: `size` (width, height) tells.

    Raises:
        DataError: a short reason: it cannot be read, or is of another size.
    """
    try:
        with Image.open(path) as opened:
            picture = _upright(opened, size)
            if picture.size != size:
                raise DataError(OTHER_SIZE)
            pixels = np.array(_to_rgb(picture))
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError, Image.DecompressionBombError):
        raise DataError(UNREADABLE) from None
    return torch.from_numpy(pixels).permute(2, 0, 1)


def check_header(path: Path, size: tuple[int, int]) -> str | None:
    """What is wrong with a picture as far as its first bytes tell; None if nothing is."""
    try:
        with Image.open(path) as opened:
            shown, turned = opened.size, (opened.height, opened.width)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return UNREADABLE
    return None if size in (shown, turned) else OTHER_SIZE


def _upright(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    turned = ImageOps.exif_transpose(picture)
    return picture if turned.size != size == picture.size else turned


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
