"""RLE masks of annotation and prediction files, validated before use."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.dataset_files import MAX_SIDE, field
from sam3model.data.segmentations import encode_runs, read_runs
from sam3model.errors import DataError
from sam3model.metrics.overlap import Rle, as_rle, coco_mask
from sam3model.ops.rle_reading import MAX_MASK_PIXELS

Size = tuple[int, int]
"""Height and width."""


def read_rle(value: Any, where: str, size: Size | None = None) -> Rle:
    """Read a COCO RLE, compressed or uncompressed, as a compressed one that is safe to pass to pycocotools.

    where: prefix of error messages. Raises `DataError` if it is malformed, does not fill its size, or is not of `size`.
    """
    height, width = _size(value, where)
    if size is not None and (height, width) != size:
        raise DataError(f"{where}: the mask is {width}x{height} pixels, but the image is {size[1]}x{size[0]}")
    counts = field(value, "counts", (str, bytes, list), where)
    try:
        return encode_runs(read_runs(counts, (width, height)), (width, height))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def stacked(masks: Sequence[Rle | None], size: Size) -> Rle:
    """A mask over space and time: those of all frames of a clip, one below the other. None: nothing on that frame."""
    height, width = size
    full = np.zeros((len(masks), height, width), bool)
    for t, mask in enumerate(masks):
        if mask is not None:
            full[t] = coco_mask.decode(dict(mask)).astype(bool)
    return as_rle(full.reshape(-1, width))


def _size(value: Any, where: str) -> Size:
    sides = field(value, "size", (list, tuple), where)
    usable = len(sides) == 2 and all(type(side) is int and 0 < side <= MAX_SIDE for side in sides)
    if not usable or sides[0] * sides[1] > MAX_MASK_PIXELS:
        raise DataError(f"{where}: the field 'size' is not a valid height and width: {sides}")
    return sides[0], sides[1]
