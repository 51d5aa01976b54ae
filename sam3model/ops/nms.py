"""Non-maximum suppression of masks."""

import torch
from torch import Tensor


def distinct_masks(masks: Tensor, scores: Tensor, limit: float) -> Tensor:
    """Which masks (n, h, w) bool to keep, (n,) bool: in order of scores (n,), unless a kept mask overlaps by too much.

    The overlap is the intersection over the smaller area, as in the paper's counting protocol; it must not exceed
    `limit`. Empty masks overlap nothing.
    """
    flat = masks.flatten(1).float()
    intersection = flat @ flat.T  # (n, n) pixels
    area = intersection.diagonal()
    overlap = intersection / torch.minimum(area, area.unsqueeze(-1)).clamp(min=1)
    clashes = (overlap > limit).tolist()
    kept: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if not any(clashes[index][other] for other in kept):
            kept.append(index)
    keep = torch.zeros(len(masks), dtype=torch.bool, device=masks.device)
    keep[kept] = True
    return keep
