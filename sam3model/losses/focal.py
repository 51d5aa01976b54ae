"""Focal and dice losses of masks and scores."""

import torch.nn.functional as F
from torch import Tensor

TINY = 1e-12


def focal_elements(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Unreduced sigmoid focal loss (arXiv 1708.02002): (...), targets (...) in 0..1 or bool -> (...).

    A negative `alpha` turns class balancing off. Value and gradient are finite for every finite logit and gamma >= 0.
    (The official fused kernel computes (1 - p_t)^(gamma - 1) in its backward pass, which is nan for a saturated correct
    logit at gamma 0. Here gamma 0 has no such factor, and for gamma in (0, 1) its base is kept above zero.)
    """
    targets = targets.to(logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma:
        p = logits.sigmoid()
        miss = p + targets - 2 * p * targets  # 1 - p_t
        loss = loss * (miss.clamp(min=TINY) if gamma < 1 else miss) ** gamma
    if alpha >= 0:
        loss = loss * (1 - alpha + (2 * alpha - 1) * targets)
    return loss


def sigmoid_focal_loss(
    logits: Tensor,
    targets: Tensor,
    num_boxes: float | Tensor,
    alpha: float = 0.25,
    gamma: float = 2.0,
    multimask: bool = False,
) -> Tensor:
    """Focal loss of rows (N, K) -> scalar: mean over axis 1, sum over rows, divided by `num_boxes`; 0 without rows.

    multimask: (N, M, H, W) -> (N, M), the mean over pixels divided by `num_boxes`.
    """
    elements = focal_elements(logits, targets, alpha, gamma)
    if multimask:
        return elements.flatten(2).mean(-1) / num_boxes
    return elements.sum() / (num_boxes * max(logits.shape[1], 1))


def dice_elements(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft dice loss over the last axis (arXiv 1606.04797, smoothed by 1): (..., K), (..., K) -> (...)."""
    p, targets = logits.sigmoid(), targets.to(logits.dtype)
    return 1 - (2 * (p * targets).sum(-1) + 1) / (p.sum(-1) + targets.sum(-1) + 1)


def dice_loss(logits: Tensor, targets: Tensor, num_boxes: float | Tensor, multimask: bool = False) -> Tensor:
    """Dice loss of rows (N, ...) -> scalar: sum over rows divided by `num_boxes`.

    multimask: (N, M, H, W) -> (N, M), each divided by `num_boxes`.
    """
    if multimask:
        return dice_elements(logits.flatten(2), targets.flatten(2)) / num_boxes
    return dice_elements(logits.flatten(1), targets.flatten(1)).sum() / num_boxes
