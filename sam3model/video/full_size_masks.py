"""Masks at the size of the video, from low-resolution logits."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.ops.masks import CHUNK_PIXELS


def no_masks(count: int, height: int, width: int, device: torch.device) -> Tensor:
    """Empty masks (count, height, width) bool. On a CPU, memory is only taken where pixels are written."""
    if device.type == "cpu":
        return torch.from_numpy(np.zeros((count, height, width), bool))
    return torch.zeros(count, height, width, dtype=torch.bool, device=device)


def full_size_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize masks (n, h, w) logits bilinearly to `size` (width, height): (n, H, W) bool, logit above zero.

    On a CPU, only the surroundings of each object are resized.
    """
    width, height = size
    masks = no_masks(len(logits), height, width, logits.device)
    if logits.device.type == "cpu":
        for mask, low in zip(masks, logits.float(), strict=True):
            _resize_object(low, mask)
        return masks
    step = max(1, CHUNK_PIXELS // (height * width))
    for start in range(0, len(logits), step):
        part = logits[start : start + step].float().unsqueeze(1)
        resized = F.interpolate(part, size=(height, width), mode="bilinear", align_corners=False)
        masks[start : start + step] = resized.squeeze(1) > 0
    return masks


def _resize_object(logits: Tensor, mask: Tensor) -> None:
    """Resize the logits (h, w) of one object into its mask (H, W), near its pixels."""
    present = (logits > 0).view(torch.uint8)
    y = _interpolation(present.amax(dim=1), mask.shape[0])
    x = _interpolation(present.amax(dim=0), mask.shape[1])
    if y is None or x is None:
        return
    (rows, near_rows, down), (columns, near_columns, across) = y, x
    mask[rows, columns] = (down @ logits[near_rows, near_columns] @ across.T) > 0


def _interpolation(filled: Tensor, side: int) -> tuple[slice, slice, Tensor] | None:
    """Bilinear weights along one axis, for the target pixels that a source pixel with `filled` (n,) reaches.

    Returns the target pixels, the source pixels that they are made from, and the weights (target, source); None if
    there are no such pixels.
    """
    places = filled.nonzero().flatten()
    if not len(places):
        return None
    last = len(filled) - 1
    source = ((torch.arange(side, dtype=torch.float32) + 0.5) * (len(filled) / side) - 0.5).clamp(min=0)
    low = source.long().clamp(max=last)
    high = (low + 1).clamp(max=last)
    reached = ((high >= places[0]) & (low <= places[-1])).nonzero().flatten()
    if not len(reached):
        return None
    target = slice(int(reached[0]), int(reached[-1]) + 1)
    source, low, high = source[target], low[target], high[target]
    near = slice(int(low[0]), int(high[-1]) + 1)
    weights = torch.zeros(len(low), near.stop - near.start)
    fraction = (source - low).unsqueeze(1)
    weights.scatter_add_(1, (low - near.start).unsqueeze(1), 1 - fraction)
    weights.scatter_add_(1, (high - near.start).unsqueeze(1), fraction)
    return target, near, weights
