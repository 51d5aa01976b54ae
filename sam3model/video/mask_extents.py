"""Bounding boxes of masks in pixels."""

import torch
from torch import Tensor


def mask_extents(masks: Tensor) -> Tensor:
    """First and last column and row of each mask: (n, H, W) bool -> (n, 4) int64, x0, y0, x1, y1, both ends inclusive.

    Zeros for an empty mask.

    >>> mask_extents(torch.tensor([[[0, 0, 0, 0], [0, 1, 1, 0]]]).bool()).tolist()
    [[1, 1, 2, 1]]
    """
    low, high = [], []
    for line in (masks.any(dim=1), masks.any(dim=2)):  # columns, rows
        filled = line.to(torch.uint8)
        low.append(filled.argmax(dim=1))
        high.append((line.shape[1] - 1 - filled.flip(1).argmax(dim=1)) * line.any(dim=1))
    return torch.stack((*low, *high), dim=1)
