"""Images as users have them, turned into frames."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import check_frame_size
from sam3model.raster_files import opened_raster

if TYPE_CHECKING:
    from sam3model.ops.resize import ImageLike


def to_frame(image: "ImageLike") -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 RGB, contiguous and not shared with `image`, from what `ops.resize.to_rgb` accepts.

    Transparent parts are on white.

    Raises:
        InputError: not an image.
    """
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        if 0 in image.shape:
            raise InputError(f"an image of shape {image.shape} is empty")
        return np.array(image, order="C")
    from sam3model.ops.resize import on_white, to_rgb

    return np.array(to_rgb(on_white(image)).permute(1, 2, 0).numpy(), order="C")


def image_file_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, upright, from its header alone.

    Raises:
        InputError: the file cannot be read, is no image or is too large.
    """
    with opened_raster(path) as image:
        size = image.size
        # Pillow decodes a whole PNG to look for EXIF after its pixels, where hardly any file has it.
        exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
        turned = exif.get(0x0112, 1) in (5, 6, 7, 8)  # the orientations that swap width and height
    check_frame_size(size, str(path))
    return (size[1], size[0]) if turned else size


def read_image_file(path: Path) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8 RGB from an image file, upright (EXIF), with transparent parts on white.

    Raises:
        InputError: the file cannot be read or is damaged.
    """
    from sam3model.ops.rgb import upright_rgb

    with opened_raster(path) as image:
        return np.array(upright_rgb(image))
