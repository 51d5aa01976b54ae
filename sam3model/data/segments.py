"""Outlines of annotations: polygons and COCO run-length codes, checked once and kept small until they are needed."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from sam3model.errors import DataError
from sam3model.ops.rle_counts import decode_counts

coco: Any = mask  # its type stubs know neither polygons as arrays nor plain dictionaries
Rle = dict[str, Any]
Polygons = tuple[NDArray[np.float64], ...]
Segmentation = Polygons | Rle
"""Polygons as arrays x0, y0, x1, y1, …, or a compressed run-length code `{"size": [H, W], "counts": bytes}`."""

_CODE = re.compile(rb"(?:[P-o]{0,6}[0-O])*")
"""Numbers of a compressed code: six bits a character, at most seven characters, the last one below `P`."""


def read_segmentation(value: Any, size: tuple[int, int]) -> Segmentation | None:
    """What a file gives as `segmentation` in a picture of `size` (width, height); None where it gives nothing.

    Raises:
        DataError: a short reason: malformed, of another size than the picture, or without a pixel.
    """
    if not value:
        return None
    if isinstance(value, Mapping):
        return read_rle(value, size)
    if not isinstance(value, list):
        raise DataError("outline that is neither polygons nor a run-length code")
    return tuple(read_polygon(part, size) for part in value)


def to_rle(segmentation: Segmentation, size: tuple[int, int]) -> Rle:
    """The outline as a compressed run-length code at the size (width, height) of the picture."""
    if isinstance(segmentation, dict):
        return segmentation
    width, height = size
    return coco.merge(coco.frPyObjects(list(segmentation), height, width))


def read_rle(value: Mapping[str, Any], size: tuple[int, int]) -> Rle:
    """A run-length code, compressed or a list of runs, as a compressed one that C code may be given.

    Raises:
        DataError: a short reason: malformed, of another size than the picture, or without a pixel.
    """
    width, height = size
    if list(value.get("size") or ()) != [height, width]:
        raise DataError("mask of another size than the picture")
    runs = read_runs(value.get("counts"), size)
    if not runs[1::2].any():
        raise DataError("mask without a pixel")
    return encode_runs(runs, size)


def read_runs(counts: Any, size: tuple[int, int]) -> NDArray[np.int64]:
    """Run lengths (n,) of a code, compressed or a list, that fill a picture of `size` (width, height).

    Raises:
        DataError: a short reason: malformed, or not as long as the picture.
    """
    runs = _plain_runs(counts) if isinstance(counts, list) else _decode(counts)
    if runs.sum() != size[0] * size[1] or (runs < 0).any():
        raise DataError("mask whose runs do not fill the picture")
    return runs


def encode_runs(runs: NDArray[np.int64], size: tuple[int, int]) -> Rle:
    """The compressed code of runs that fill a picture of `size` (width, height).

    Runs of no length are legal, but the box and the union of such codes come out wrong: they are left out.
    """
    width, height = size
    return coco.frPyObjects({"size": [height, width], "counts": _joined(runs).tolist()}, height, width)


def read_polygon(part: Any, size: tuple[int, int]) -> NDArray[np.float64]:
    """The corners of a polygon, x and y in turns (2n,), on a picture of `size`.

    Raises:
        DataError: a short reason: fewer than three corners, or no numbers near the picture.
    """
    try:
        corners = np.asarray(part, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError("polygon that holds something else than numbers") from None
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
        raise DataError("polygon without three corners")
    if not (np.abs(corners) <= 4 * max(size)).all():
        raise DataError("polygon with a corner far outside of the picture")
    return corners


def _plain_runs(counts: list[Any]) -> NDArray[np.int64]:
    if not all(type(run) is int and 0 <= run < 1 << 32 for run in counts):
        raise DataError("mask with something that is no run length")
    return np.array(counts, np.int64)


def _decode(counts: Any) -> NDArray[np.int64]:
    text = counts.encode("utf-8", "replace") if isinstance(counts, str) else counts
    if not isinstance(text, bytes) or not _CODE.fullmatch(text):
        raise DataError("mask without a readable run-length code")
    return decode_counts([text])[0]


def _joined(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same runs without any of no length but the first."""
    if not (runs[1:] == 0).any():
        return runs
    value = np.arange(len(runs)) % 2
    value, runs = value[runs > 0], runs[runs > 0]
    first = np.flatnonzero(np.diff(value, prepend=-1))
    joined = np.add.reduceat(runs, first)
    return joined if value[0] == 0 else np.concatenate([[0], joined])
