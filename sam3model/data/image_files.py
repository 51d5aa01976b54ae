"""Image files as tensors, upright and at the size that their annotations refer to."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sam3model.errors import DataError
from sam3model.ops.rgb import convert_to_rgb

UNREADABLE = "image file is unreadable"
OTHER_SIZE = "image size differs from its annotations"


def read_image(path: Path, size: tuple[int, int]) -> Tensor:
    """Read an image as (3, H, W) uint8, with transparent parts on white.

    Its EXIF orientation is applied unless `size` (width, height) shows that it was annotated without.

    Raises:
        DataError: a short reason; it cannot be read, or has another size.
    """
    try:
        with Image.open(path) as opened:
            image = _upright(opened, size)
            if image.size != size:
                raise DataError(OTHER_SIZE)
            pixels = np.array(convert_to_rgb(image))
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, MemoryError, Image.DecompressionBombError):
        raise DataError(UNREADABLE) from None
    return torch.from_numpy(pixels).permute(2, 0, 1)


def check_header(path: Path, size: tuple[int, int]) -> str | None:
    """What is wrong with an image file, according to its header; None if nothing is."""
    try:
        with Image.open(path) as opened:
            stored, turned = opened.size, (opened.height, opened.width)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return UNREADABLE
    return None if size in (stored, turned) else OTHER_SIZE


def _upright(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    return image if turned.size != size == image.size else turned
