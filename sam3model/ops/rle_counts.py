"""Decode compressed COCO RLE to run lengths with numpy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def decode_counts(texts: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run lengths of all masks, and the start index of each mask (with the total number at the end).

    COCO writes a number in chunks of five bits, lowest first, as characters from "0" on. Bit 5 means that another chunk
    follows; bit 4 of the last chunk is the sign. From the fourth number of a mask on, numbers are differences to the
    number two before.

    >>> decode_counts([b"021O1"])[0].tolist()
    [0, 2, 1, 1, 2]
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
