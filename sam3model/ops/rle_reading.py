"""Run-length codes from outside: every one is checked here before pycocotools, which trusts its input, sees it."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as _coco

from sam3model.errors import DataError
from sam3model.ops.rle_counts import decode_counts

coco: Any = _coco  # its type stubs are too narrow for str and bytes

MAX_MASK_PIXELS = 1 << 28
"""A mask of more pixels is refused: no image of that size is opened."""

_CODE = re.compile(rb"(?:[P-o]{0,6}[0-O])*")
"""Numbers in compressed RLE: six bits per character, at most seven characters, the last one below `P`."""


def read_rle_size(value: Any) -> tuple[int, int]:
    """Width and height of a COCO RLE from its `size`, [height, width].

    Raises:
        DataError: a short reason; it is not an RLE, or its size is malformed or too large.
    """
    sides = value.get("size") if isinstance(value, Mapping) else None
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(type(side) is int for side in sides):
        raise DataError("an RLE needs 'size', [height, width]")
    height, width = sides
    if height < 1 or width < 1 or height * width > MAX_MASK_PIXELS:
        raise DataError(f"RLE 'size' is impossible: {_short(height)}x{_short(width)}")
    return width, height


def read_runs(counts: Any, size: tuple[int, int]) -> NDArray[np.int64]:
    """Run lengths (n,) from compressed counts or a list, for an image of `size` (width, height).

    Raises:
        DataError: a short reason; the counts are malformed or do not add up to the image area.
    """
    runs = _plain_runs(counts) if isinstance(counts, list) else _decode(counts)
    if runs.sum() != size[0] * size[1] or (runs < 0).any():
        raise DataError("RLE 'counts' do not add up to the image area")
    return runs


def _short(side: int) -> str:
    return str(side) if abs(side) < 10**12 else "…"


def encode_runs(runs: NDArray[np.int64], size: tuple[int, int]) -> dict[str, Any]:
    """Compressed RLE from runs that fill an image of `size` (width, height).

    Runs of length zero are legal, but pycocotools computes wrong boxes and unions from them, so they are merged away.
    """
    width, height = size
    return coco.frPyObjects({"size": [height, width], "counts": _merged(runs).tolist()}, height, width)


def _plain_runs(counts: list[Any]) -> NDArray[np.int64]:
    if not all(type(run) is int and 0 <= run < 1 << 32 for run in counts):
        raise DataError("RLE 'counts' hold an invalid run length")
    return np.array(counts, np.int64)


def _decode(counts: Any) -> NDArray[np.int64]:
    text = counts.encode("utf-8", "replace") if isinstance(counts, str) else counts
    if not isinstance(text, bytes) or not _CODE.fullmatch(text):
        raise DataError("RLE 'counts' cannot be decoded")
    return decode_counts([text])[0]


def _merged(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same mask without runs of length zero, except the first."""
    if not (runs[1:] == 0).any():
        return runs
    value = np.arange(len(runs)) % 2
    value, runs = value[runs > 0], runs[runs > 0]
    first = np.flatnonzero(np.diff(value, prepend=-1))
    merged = np.add.reduceat(runs, first)
    return merged if value[0] == 0 else np.concatenate([[0], merged])
