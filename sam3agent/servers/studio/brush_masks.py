"""Masks as Label Studio stores brush strokes: runs of the bytes of an RGBA image, packed into bits.

The format: 32 bits of length, 5 of word size, four times 4 of run sizes; then blocks, each with a bit (1 for a run), 2
bits that choose a run size, that many bits of length less one, and the value.
"""

import numpy as np

from sam3agent.masks import Mask

WORD = 8
RUN_SIZES = (3, 4, 8, 16)
CHANNELS = 4
LONGEST = 1 << RUN_SIZES[-1]


def brush_rle(mask: Mask) -> list[int]:
    """The bytes of a mask at image size."""
    flat = mask.full().ravel()
    bounds = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(bounds, prepend=0, append=flat.size) * CHANNELS
    parts = [f"{flat.size * CHANNELS:032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in RUN_SIZES)]
    value = bool(flat[0])
    for length in lengths.tolist():
        for start in range(0, length, LONGEST):
            run = min(length - start, LONGEST)
            choice = next(i for i, size in enumerate(RUN_SIZES) if run <= 1 << size)
            parts.append(f"1{choice:02b}{run - 1:0{RUN_SIZES[choice]}b}{255 * value:0{WORD}b}")
        value = not value
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
