"""Many compressed RLE masks decoded to runs in one pass of numpy, without touching a pixel."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import MetricError
from sam3model.metrics.overlap import Rle

IntArray = NDArray[np.int64]


class Runs(NamedTuple):
    """Foreground of one mask as runs that stay within a column: column, first row, row after the last, each (R,)."""

    column: IntArray
    top: IntArray
    bottom: IntArray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.bottom - self.top).sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Columns and rows that hold pixels: x0, y0, x1, y1, the last two exclusive. The mask must not be empty."""
        return int(self.column[0]), int(self.top.min()), int(self.column[-1]) + 1, int(self.bottom.max())


def decode_runs(masks: Sequence[Rle], height: int, width: int) -> list[Runs]:
    """Decode masks of one size. Raises MetricError if a mask has another size or its counts do not fill it.

    >>> decode_runs([{"size": [2, 3], "counts": "021O1"}], 2, 3)[0].box
    (0, 0, 2, 2)
    """
    for mask in masks:
        if tuple(mask["size"]) != (height, width):
            raise MetricError(f"a mask of size {list(mask['size'])} among masks of [{height}, {width}]")
    texts = [c.encode() if isinstance(c := m["counts"], str) else bytes(c) for m in masks]
    counts, first = _decode_counts(texts)
    ends = np.cumsum(counts)  # global; a mask starts where the one before ended
    begin = np.concatenate([[0], ends])[first[:-1]]
    if (np.concatenate([[0], ends])[first] != np.arange(len(first)) * height * width).any():
        raise MetricError(f"the run lengths of a mask do not add up to {height} x {width} pixels")
    return [_split(ends[a:b] - start, height) for a, b, start in zip(first[:-1], first[1:], begin, strict=True)]


def _split(toggles: IntArray, height: int) -> Runs:
    """Runs [toggle 0, toggle 1), [toggle 2, toggle 3) … cut at the ends of columns."""
    start, end = toggles[: len(toggles) // 2 * 2].reshape(-1, 2).T
    if not start.size:
        return Runs(start, start, start)
    column = start // height
    spans = (end - 1) // height - column + 1
    if spans.max() > 1:
        index = np.repeat(np.arange(len(start)), spans)
        step = np.arange(len(index)) - np.repeat(np.cumsum(spans) - spans, spans)
        column = column[index] + step
        start, end = np.maximum(start[index], column * height), np.minimum(end[index], (column + 1) * height)
    return Runs(column, start - column * height, end - column * height)


def _decode_counts(texts: Sequence[bytes]) -> tuple[IntArray, IntArray]:
    """Run lengths of all masks, and the index of the first one of each (one more at the end).

    COCO writes a number in chunks of five bits, lowest first, each a character from "0" on; bit 5 says that more
    follows and bit 4 of the last chunk is the sign. From the fourth number of a mask on, the difference to the number
    before the last is written.
    """
    codes = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - 48
    lengths = np.array([len(t) for t in texts])
    last = (codes & 0x20) == 0
    stop = np.flatnonzero(last) + 1
    start = np.concatenate([[0], stop[:-1]])
    first = np.searchsorted(start, np.concatenate([[0], np.cumsum(lengths)]))
    if not len(stop):
        return stop, first
    shift = 5 * (np.arange(len(codes)) - np.repeat(start, stop - start))
    values = np.add.reduceat((codes & 0x1F) << shift, start)
    values -= ((codes[stop - 1] & 0x10) > 0) * (np.int64(1) << 5 * (stop - start))
    place = np.arange(len(values)) - np.repeat(first[:-1], np.diff(first))
    for parity in (1, 0):  # odd numbers chain from number 1, even ones from number 2
        chain = np.flatnonzero((place % 2 == parity) & (place > 0))
        summed = np.cumsum(values[chain])
        heads = place[chain] <= 2
        base = (summed - values[chain])[heads]
        values[chain] = summed - np.repeat(base, np.diff(np.append(np.flatnonzero(heads), len(chain))))
    return values, first
