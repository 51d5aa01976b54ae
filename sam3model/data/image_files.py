"""Image files as tensors, upright and at the size that their annotations refer to."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sam3model.errors import DataError, InputError
from sam3model.frames.image_arrays import image_file_size
from sam3model.ops.rgb import convert_to_rgb
from sam3model.raster_files import opened_raster

UNREADABLE = "image file is unreadable"
OTHER_SIZE = "image size differs from its annotations"


def read_image(path: Path, size: tuple[int, int]) -> Tensor:
    """Read an image as (3, H, W) uint8, with transparent parts on white.

    Its EXIF orientation is applied unless `size` (width, height) shows that it was annotated without.

    Raises:
        DataError: a short reason; it cannot be read, or has another size.
    """
    try:
        with opened_raster(path) as opened:
            image = _upright(opened, size)
            if image.size != size:
                raise DataError(OTHER_SIZE)
            pixels = np.array(convert_to_rgb(image))
    except InputError as error:
        raise DataError(OTHER_SIZE if isinstance(error.__cause__, DataError) else UNREADABLE) from None
    return torch.from_numpy(pixels).permute(2, 0, 1)


def check_header(path: Path, size: tuple[int, int]) -> str | None:
    """What is wrong with an image file, according to its header; None if nothing is."""
    try:
        with opened_raster(path) as opened:
            stored, turned = opened.size, (opened.height, opened.width)
    except InputError:
        return UNREADABLE
    return None if size in (stored, turned) else OTHER_SIZE


def stored_size(path: Path) -> tuple[int, int] | None:
    """Width and height of an image file, upright, from its header; None if it cannot be read."""
    try:
        return image_file_size(path)
    except InputError:
        return None


def _upright(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    return image if turned.size != size == image.size else turned
