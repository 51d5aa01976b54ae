"""Turning frames upright as the display matrix of a clip says."""

import numpy as np
from numpy.typing import NDArray


def upright(image: NDArray[np.uint8], matrix: bytes | None) -> NDArray[np.uint8]:
    """Image (H, W, 3) rotated by a multiple of 90 degrees and mirrored as a display matrix says; contiguous.

    matrix: FFmpeg's display matrix, nine 32-bit integers `a b u c d v x y w` in the byte order of the machine, that
    takes a point (p, q) to (a p + c q + x, b p + d q + y). None leaves the image as it is.
    """
    if matrix is None or len(matrix) < 36:
        return np.ascontiguousarray(image)
    a, b, _, c, d = (int(value) for value in np.frombuffer(matrix, np.int32, 5))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        right, down = a, d
    else:
        image = image.transpose(1, 0, 2)
        right, down = c, b
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])
