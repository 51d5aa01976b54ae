"""Suppression of masks that show the same thing twice."""

import torch
from torch import Tensor


def distinct_masks(masks: Tensor, scores: Tensor, limit: float) -> Tensor:
    """Which masks (n, h, w) bool to keep, (n,) bool: down the scores (n,), none that overlaps a kept one too much.

    Two masks overlap too much where they share more than `limit` of the smaller one (intersection over minimum, as in
    the paper's counting protocol). Empty masks overlap nothing.
    """
    flat = masks.flatten(1).float()
    shared = flat @ flat.T  # (n, n) pixels
    area = shared.diagonal()
    overlap = shared / torch.minimum(area, area.unsqueeze(-1)).clamp(min=1)
    clashes = (overlap > limit).tolist()
    kept: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if not any(clashes[index][other] for other in kept):
            kept.append(index)
    keep = torch.zeros(len(masks), dtype=torch.bool, device=masks.device)
    keep[kept] = True
    return keep
