"""Masks that the memory of a tracked frame is made from."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.video.mask_overlap import LOSER_LOGIT, shrunk

VISIBLE_SCORE, ABSENT_SCORE = 10.0, -10.0
"""Object score logits written to memory for a mask with and without pixels."""


def memory_masks(
    low_res: Tensor, side: int, shrink_ratio: float, concepts: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Mask logits and object score logits for the memory encoder: (n, h, w) -> (n, side, side), (n,).

    `low_res` has all objects of the frame, whichever tracker state they are in, because an object that loses most of
    its area to others is left out of memory. The predicted object scores are not used: what counts is whether a pixel
    is left.
    """
    masks = F.interpolate(low_res.unsqueeze(1), size=(side, side), mode="bilinear", align_corners=False).squeeze(1)
    lost = shrunk(masks, shrink_ratio, concepts)
    masks[lost] = masks[lost].clamp(max=LOSER_LOGIT)
    return masks, torch.where(lost, ABSENT_SCORE, VISIBLE_SCORE).to(masks.dtype)
