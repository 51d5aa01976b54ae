"""Masks of videos as they lie in files: label pictures (PNG), every one checked before use."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from evals.files import first_existing, inside
from evals.masks import Size
from sam3model.errors import DataError
from sam3model.metrics.overlap import Rle, coco_mask

Item = TypeVar("Item")
VOID = 255
"""Label of pixels that belong to nothing in particular (DAVIS)."""


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a bar on stderr if it is a terminal. total: how many, if they cannot be counted."""
    from tqdm import tqdm

    return tqdm(items, desc=what, total=total, disable=None, leave=False)


def results_file(predictions: Path, *names: str) -> Path:
    """The predictions if they are a file, else the first of these names in their folder. Raises `DataError`."""
    return predictions if predictions.is_file() else first_existing(predictions, *names)


def folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted. Raises `DataError` if it cannot be listed."""
    return _names(folder, lambda path: path.is_dir())


def pictures(folder: Path) -> list[str]:
    """Names of the PNGs in a folder, sorted. Raises `DataError` if it cannot be listed."""
    return _names(folder, lambda path: path.suffix == ".png")


def _names(folder: Path, wanted: Any) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and wanted(path))
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error


def read_labels(root: Path, *names: str, size: Size | None = None) -> NDArray[np.uint8]:
    """A label picture under `root`, (H, W): indexed, grey or black and white.

    Raises `DataError` if it leads out of the root, is no such PNG, or has another size than `size`.
    """
    from PIL import Image

    path = inside(root, *names)
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.mode not in ("P", "L", "1"):
                raise DataError(f"{path} has colours ({picture.mode}): an indexed or grey PNG of labels is needed")
            if size is not None and (picture.height, picture.width) != size:
                raise DataError(f"{path} is {picture.width}x{picture.height} pixels, not {size[1]}x{size[0]}")
            return np.asarray(picture, np.uint8)
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no readable PNG: {error}") from error


def size_of(labels: NDArray[np.uint8]) -> Size:
    """Height and width of a label picture."""
    return labels.shape[0], labels.shape[1]


def objects_of(labels: NDArray[np.uint8]) -> dict[int, Rle]:
    """The mask of every label but background and void.

    >>> sorted(objects_of(np.array([[0, 2], [7, 255]], np.uint8)))
    [2, 7]
    """
    there = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    columns = np.asfortranarray(labels)
    return {label: coco_mask.encode((columns == label).view(np.uint8)) for label in there.tolist() if 0 < label < VOID}


def whole_mask(labels: NDArray[np.uint8]) -> Rle:
    """The mask of all labels together, void included: pictures of one object are written as 0/1 or 0/255."""
    return coco_mask.encode(np.asfortranarray(labels > 0, np.uint8))
