"""Decode many compressed RLE masks at once to runs within columns, without decoding pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import MetricError
from sam3model.metrics.overlap import Rle
from sam3model.ops.rle_counts import decode_counts

IntArray = NDArray[np.int64]


class Runs(NamedTuple):
    """Foreground of a mask as runs within columns: column, first row and last row + 1 of each run, (R,)."""

    column: IntArray
    top: IntArray
    bottom: IntArray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int((self.bottom - self.top).sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Bounding box x0, y0, x1, y1, with exclusive ends. The mask must not be empty."""
        return int(self.column[0]), int(self.top.min()), int(self.column[-1]) + 1, int(self.bottom.max())


def decode_runs(masks: Sequence[Rle], height: int, width: int) -> list[Runs]:
    """Decode masks of one size. Raises `MetricError` if a mask has another size or its counts do not fill it.

    >>> decode_runs([{"size": [2, 3], "counts": "021O1"}], 2, 3)[0].box
    (0, 0, 2, 2)
    """
    for mask in masks:
        if tuple(mask["size"]) != (height, width):
            raise MetricError(f"a mask of size {list(mask['size'])} among masks of size [{height}, {width}]")
    texts = [c.encode() if isinstance(c := m["counts"], str) else bytes(c) for m in masks]
    counts, first = decode_counts(texts)
    ends = np.cumsum(counts)  # over all masks; each starts at the end of the previous one
    begin = np.concatenate([[0], ends])[first[:-1]]
    if (np.concatenate([[0], ends])[first] != np.arange(len(first)) * height * width).any():
        raise MetricError(f"the run lengths of a mask do not add up to {height}x{width} pixels")
    return [_split(ends[a:b] - start, height) for a, b, start in zip(first[:-1], first[1:], begin, strict=True)]


def _split(toggles: IntArray, height: int) -> Runs:
    """Runs [toggle 0, toggle 1), [toggle 2, toggle 3) and so on, split at column ends."""
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
