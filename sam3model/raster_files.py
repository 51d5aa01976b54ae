"""The one place where image files are opened: raster formats only, regular files only, bounded bytes and pixels."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sam3model.errors import InputError
from sam3model.files import open_regular, read_regular

if TYPE_CHECKING:
    from PIL import Image

COMMON_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM")
"""Formats that Pillow knows without loading more plugins."""

OTHER_FORMATS = ("WEBP", "TIFF", "MPO", "JPEG2000", "AVIF", "HEIF", "TGA")
"""Others that are opened. Those that run programs, such as PostScript, or that contain files are left out."""

MAX_FILE_BYTES = 512 * 1024 * 1024
"""A larger file is refused unread."""

MAX_PIXELS = 120_000_000
"""A larger image is refused: it is nearly always a decompression bomb. Below the limit at which Pillow refuses."""


@contextmanager
def opened_raster(source: "str | Path | bytes", name: str | None = None) -> "Iterator[Image.Image]":
    """An image file as Pillow opens it: its header is read, its pixels are not decoded yet.

    name: what messages call the image; by default its path.

    Raises:
        InputError: the file is missing, not a regular file, too large, or not an image in a supported format; or what
            the block raises while it decodes the image.
    """
    name = name or ("the image" if isinstance(source, bytes) else str(source))
    file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else open_regular(source)
    with file:
        _check_bytes(file.seek(0, io.SEEK_END), name)
        file.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = _open(file)
                _check_pixels(image.size, name)
                with image:
                    yield image
        except InputError:
            raise
        except MemoryError as error:
            raise InputError(f"{name} needs more memory than there is: scale it down") from error
        except Exception as error:  # decoders raise almost anything on damaged files
            raise _explained(error, name) from error


def read_raster(path: "str | Path") -> bytes:
    """The bytes of an image file. Raises `InputError` as `opened_raster`, but the format is not checked."""
    return read_regular(path, MAX_FILE_BYTES)


def raster_size(path: "str | Path") -> tuple[int, int]:
    """Width and height of an image file as stored, from its header alone. Raises `InputError` as `opened_raster`."""
    with opened_raster(path) as image:
        return image.size


def page_count(image: "Image.Image") -> int:
    """Number of frames or pages of an opened image, as far as the file can be read; no frame is decoded."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # decoders raise almost anything on damaged files
        return 1


def _open(file: BinaryIO) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    Image.preinit()
    try:
        return Image.open(file, formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        Image.init()
        file.seek(0)
        return Image.open(file, formats=[name for name in OTHER_FORMATS if name in Image.OPEN])


def _check_bytes(size: int, name: str) -> None:
    if not size:
        raise InputError(f"{name} is empty")
    if size > MAX_FILE_BYTES:
        raise InputError(f"{name} is too large: {size / 1e6:.0f} MB; the limit is {MAX_FILE_BYTES / 1e6:.0f} MB")


def _check_pixels(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        limit = f"the limit is {MAX_PIXELS // 1_000_000} million"
        raise InputError(f"{name} is too large: {size[0]}x{size[1]} pixels; {limit}: scale it down")


def _explained(error: Exception, name: str) -> InputError:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return InputError(f"{name} is too large: the limit is {MAX_PIXELS // 1_000_000} million pixels: scale it down")
    if isinstance(error, UnidentifiedImageError):
        return InputError(f"{name} is not an image in a supported format (JPEG, PNG, WebP, TIFF, …)")
    reason = next(iter(str(getattr(error, "strerror", None) or error).splitlines()), "") or "no data"
    return InputError(f"{name} is a damaged image: {reason}")
