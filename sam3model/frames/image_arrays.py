"""Images as users have them, turned into frames."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.files import open_regular
from sam3model.frames.frame_source import check_frame_size

if TYPE_CHECKING:
    from PIL import Image

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
    with _open(path) as image:
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
    from PIL import ImageOps

    from sam3model.ops.rgb import convert_to_rgb

    with _open(path) as image:
        try:
            return np.array(convert_to_rgb(ImageOps.exif_transpose(image)))
        except Exception as error:  # decoders raise almost anything on damaged files
            raise InputError(f"{path} is a damaged image: {_first_line(error)}") from error


@contextmanager
def _open(path: Path) -> "Iterator[Image.Image]":
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_first_line(error)}") from error
    with file:
        yield _identify(file, path)


def _identify(file: BinaryIO, path: Path) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(file)
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path} is not an image in a supported format, or is damaged: remove or replace it"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: scale it down") from error
    except Exception as error:
        raise InputError(f"cannot read {path}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(getattr(error, "strerror", None) or error).splitlines()), type(error).__name__)
