"""Overlaps between objects: which object a pixel belongs to, by its logit or by the score of the object."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sam3model.video.concept_members import members
from sam3model.video.full_size_masks import no_masks
from sam3model.video.mask_extents import mask_areas

LOSER_LOGIT = -10.0
"""Upper bound of the logit of a pixel that an object loses to another one."""


def shrunk(logits: Tensor, ratio: float, concepts: Sequence[int] | None = None) -> Tensor:
    """Which masks (n, h, w) keep less than `ratio` of their area if each pixel goes to the highest logit: (n,) bool.

    An empty mask counts as shrunk.
    """
    before = mask_areas(logits > 0)
    after = before.clone()
    for rows in members(concepts, len(logits)):
        if len(rows) > 1:
            after[rows] -= _lost_pixels(logits if len(rows) == len(logits) else logits[rows])
    return (after / before.clamp(min=1) < ratio) | (before == 0)


def resolve_by_score(
    masks: Sequence[Tensor],
    scores: Sequence[float],
    concepts: Sequence[int] | None = None,
    boxes: Sequence[Sequence[int]] | None = None,
) -> list[Tensor]:
    """Give each pixel to the object with the highest score that covers it: n masks (h, w) bool -> the same, disjoint.

    Of equal scores, the first object wins. An object whose score is not above zero loses all its pixels. A mask may be
    only what is inside its box, in `boxes` (n, 4), x0, y0, x1, y1 inclusive; else all masks have one size.
    """
    resolved = list(masks)
    places = boxes or [(0, 0, mask.shape[1] - 1, mask.shape[0] - 1) for mask in masks]
    height, width = 1 + max((one[3] for one in places), default=0), 1 + max((one[2] for one in places), default=0)
    for rows in members(concepts, len(masks)):
        claimed = no_masks(1, height, width, masks[0].device)[0]
        for index in sorted(rows, key=lambda i: -scores[i]):
            if scores[index] <= 0:
                resolved[index] = torch.zeros_like(masks[index])
                continue
            x0, y0, x1, y1 = places[index]
            taken = claimed[y0 : y1 + 1, x0 : x1 + 1]
            resolved[index] = masks[index] & ~taken
            taken |= masks[index]
    return resolved


def _lost_pixels(logits: Tensor) -> Tensor:
    """Number of pixels of each mask (n, h, w) on which another one has a higher logit, or the same and comes first."""
    covered = (logits > 0).sum(dim=0, dtype=torch.uint8 if len(logits) < 256 else torch.int32)
    contested = (covered > 1).flatten().nonzero().flatten()
    values = logits.flatten(1).index_select(1, contested)
    won = torch.bincount(values.argmax(dim=0), minlength=len(logits))
    return (values > 0).sum(dim=1) - won
