"""Label maps: PNG files with a label per pixel, validated before use."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError, InputError
from sam3model.files import open_regular
from sam3model.metrics.overlap import Rle, as_rle

VOID = 255
"""Label of pixels without ground truth (DAVIS)."""


class NoLabelsError(DataError):
    """An image that can be read, but whose pixels are no labels."""


def read_labels(root: Path, *names: str, size: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Labels (H, W) of an indexed, grey or black-and-white PNG under `root`.

    Raises `DataError` if the path is outside the root, or the file is not such a PNG or not of `size`.
    """
    from PIL import Image

    path = inside(root, *names)
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG"]) as image:
            if image.mode not in ("P", "L", "1"):
                needed = "an indexed or 8-bit grey PNG of labels is needed"
                raise NoLabelsError(f"{path} has pixels of mode {image.mode}; {needed}")
            if size is not None and (image.height, image.width) != size:
                raise DataError(f"{path} is {image.width}x{image.height} pixels, not {size[1]}x{size[0]}")
            return np.asarray(image, np.uint8)
    except InputError as error:
        raise DataError(str(error)) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a PNG: {error}") from error


def objects_of(labels: NDArray[np.uint8]) -> dict[int, Rle]:
    """The mask of every label except background and void.

    >>> sorted(objects_of(np.array([[0, 2], [7, 255]], np.uint8)))
    [2, 7]
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    return {label: as_rle(labels == label) for label in present.tolist() if 0 < label < VOID}


def whole_mask(labels: NDArray[np.uint8]) -> Rle:
    """The mask of all labels, void included, since masks of one object are written as 0/1 or 0/255."""
    return as_rle(labels > 0)
