"""Overlaps between objects: which object a pixel belongs to, by its logit or by the score of the object."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sam3model.video.groups import members

LOSER_LOGIT = -10.0
"""Upper bound of the logit of a pixel that an object loses to another one."""


def keep_strongest(logits: Tensor) -> Tensor:
    """Clamp masks (n, ..., h, w) to at most -10 wherever another object has a higher logit."""
    if len(logits) <= 1:
        return logits
    order = torch.arange(len(logits), device=logits.device).view(-1, *[1] * (logits.ndim - 1))
    return torch.where(logits.argmax(dim=0, keepdim=True) == order, logits, logits.clamp(max=LOSER_LOGIT))


def shrunk(logits: Tensor, ratio: float, groups: Sequence[int] | None = None) -> Tensor:
    """Which masks (n, h, w) keep less than `ratio` of their area if each pixel goes to the highest logit: (n,) bool.

    An empty mask counts as shrunk.
    """
    before = (logits > 0).flatten(1).sum(dim=1)
    after = before.clone()
    for group in members(groups, len(logits)):
        if len(group) > 1:
            best, owner = logits[group].max(dim=0)
            after[group] = torch.bincount(owner[best > 0], minlength=len(group))
    return after / before.clamp(min=1) < ratio


def drop_shrunk(logits: Tensor, ratio: float, groups: Sequence[int] | None = None) -> Tensor:
    """Clamp masks (n, h, w) that are `shrunk` to at most -10. Others stay as they are, and may overlap."""
    lost = shrunk(logits, ratio, groups)
    return torch.where(lost[:, None, None], logits.clamp(max=LOSER_LOGIT), logits) if lost.any() else logits


def resolve_by_score(masks: Tensor, scores: Sequence[float], groups: Sequence[int] | None = None) -> Tensor:
    """Give each pixel to the object with the highest score that covers it: masks (n, H, W) bool -> the same, disjoint.

    Of equal scores, the first object wins. An object whose score is not above zero loses all its pixels.
    """
    result = masks.clone()
    for group in members(groups, len(masks)):
        claimed = torch.zeros(masks.shape[1:], dtype=torch.bool, device=masks.device)
        for index in sorted(group, key=lambda i: -scores[i]):
            if scores[index] > 0:
                result[index] &= ~claimed
                claimed |= masks[index]
            else:
                result[index] = False
    return result


def resolve_logits_by_score(logits: Tensor, scores: Sequence[float], groups: Sequence[int] | None = None) -> Tensor:
    """As `resolve_by_score` for logits (n, h, w): what an object loses is clamped to -10."""
    return torch.where(resolve_by_score(logits > 0, scores, groups), logits, logits.clamp(max=LOSER_LOGIT))
