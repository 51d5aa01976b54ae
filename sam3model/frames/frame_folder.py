"""Frames in image files: a folder, or files in a given order."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import DEFAULT_RATE, BrokenFrameError, check_rate
from sam3model.frames.image_arrays import image_file_size, read_image_file
from sam3model.frames.stored_frames import StoredFrames

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".jp2", ".avif", ".tga")
)
"""Files of a folder with other endings are left out, and so are hidden files."""


class FrameFolder(StoredFrames):
    """A `FrameSource` of the images in a folder, sorted as people count: 2.jpg before 10.jpg.

    Transparent parts are on white. A file that is damaged or gone raises `BrokenFrameError`.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path], *, rate: float = DEFAULT_RATE) -> None:
        """folder: a folder, or image files in their order. rate: frames per second.

        The sizes of all images are compared at once, from their headers.

        Raises:
            InputError: there are no images, one cannot be read, or they differ in size.
        """
        name, self.files = _find_files(folder)
        rate, first = check_rate(rate), image_file_size(self.files[0])
        for path in self.files[1:]:
            size = image_file_size(path)
            if size != first:
                raise InputError(
                    f"the images of {name} differ in size: {path.name} is {size[0]}x{size[1]} and "
                    f"{self.files[0].name} is {first[0]}x{first[1]}; scale them to one size"
                )
        super().__init__(name, len(self.files), first, rate)

    def _read(self, t: int) -> NDArray[np.uint8]:
        try:
            frame = read_image_file(self.files[t])
        except InputError as error:
            raise BrokenFrameError(f"frame {t} cannot be read: {error}", t - 1) from error
        if (frame.shape[1], frame.shape[0]) != self._size:
            shape = f"{frame.shape[1]}x{frame.shape[0]}, not {self._size[0]}x{self._size[1]}"
            raise BrokenFrameError(f"frame {t} cannot be used: {self.files[t]} is {shape}", t - 1)
        return frame


def natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts names by the numbers in them: 2.jpg before 10.jpg."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts], path.name


def _find_files(folder: str | Path | Sequence[str | Path]) -> tuple[str, list[Path]]:
    """How messages call the source, and its files."""
    if not isinstance(folder, str | Path):
        files = [Path(path) for path in folder]
        if not files:
            raise InputError("a list of no image files has no frames: give at least one")
        return "the list of files", files
    return str(folder), image_files(Path(folder))


def image_files(folder: Path) -> list[Path]:
    """The images in a folder, in the order of their frames. Raises `InputError` if there are none."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name[0] != "." and not entry.is_dir()]
        found = [path for name in names if (path := folder / name).suffix.lower() in IMAGE_SUFFIXES]
    except FileNotFoundError as error:
        raise InputError(f"there is no folder {folder}") from error
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file, not a folder of images") from error
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    if not found:
        raise InputError(
            f"the folder {folder} contains no images (JPEG, PNG, WebP, TIFF, …): give a clip or another one"
        )
    return sorted(found, key=natural_key)
