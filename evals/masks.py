"""Run-length codes as they lie in files of pictures and videos, every one checked before use."""

from typing import Any

from evals.files import MAX_SIDE, field
from sam3model.data.segmentations import encode_runs, read_runs
from sam3model.errors import DataError
from sam3model.metrics.overlap import Rle

Size = tuple[int, int]
"""Height and width."""


def read_rle(value: Any, where: str, size: Size | None = None) -> Rle:
    """A COCO run-length code, compressed or a list of runs, as a compressed one that C code may be given.

    Raises `DataError`, which says `where`, if it is malformed, does not fill its size, or has another than `size`.
    """
    height, width = _size(value, where)
    if size is not None and (height, width) != size:
        raise DataError(f"{where}: a mask of {width}x{height} pixels in a picture of {size[1]}x{size[0]}")
    counts = field(value, "counts", (str, bytes, list), where)
    try:
        return encode_runs(read_runs(counts, (width, height)), (width, height))
    except DataError as error:
        raise DataError(f"{where}: {error} (field 'counts')") from None


def _size(value: Any, where: str) -> Size:
    sides = field(value, "size", (list, tuple), where)
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= MAX_SIDE for side in sides):
        raise DataError(f"{where}: the field 'size' is no height and width: {sides}")
    return sides[0], sides[1]
