"""Focal and dice loss of masks at the resolution of the ground truth, with a hand-written gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

CHUNK_ON_CPU, CHUNK = 2**18, 2**25  # pixels per chunk: fits in the cache of a CPU; fits on any accelerator


class DenseMaskLoss(Function):
    """Weighted sum of focal and dice loss over masks with binary targets.

    Masks are resized and compared a few at a time, and their gradient is brought back to the resolution of the
    prediction at once. No full-resolution map outlives its chunk, so the work stays in cache on a CPU, and memory does
    not grow with the number of matched masks on an accelerator.
    """

    @staticmethod
    def forward(
        ctx,
        logits: Tensor,
        masks: Tensor,
        target: Tensor,
        weights: tuple[float, float],
        focal: tuple[float, float],
    ) -> tuple[Tensor, Tensor]:
        """Loss of logits (M, h, w) float32 against masks[target] (M, H, W) bool.

        weights: of the focal and the dice loss. focal: alpha and gamma. Returns the weighted sum, and both unweighted
        sums (2,) for the log.
        """
        needs_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(logits) if needs_gradient else None
        sums = logits.new_zeros(2)
        size = masks.shape[1:]
        chunk = max(1, (CHUNK_ON_CPU if logits.device.type == "cpu" else CHUNK) // max(1, size.numel()))
        for start in range(0, len(logits), chunk):
            part = slice(start, start + chunk)
            truth = masks[target[part]].flatten(1).to(logits.dtype)  # (m, H*W)
            with torch.enable_grad():
                leaf = logits[part].detach().requires_grad_(needs_gradient)
                full = resized(leaf, size).flatten(1)
            focal_sum, dice_sum, slope = _compare(full.detach(), truth, weights, focal, needs_gradient)
            sums += torch.stack((focal_sum, dice_sum))
            if gradient is not None:
                (gradient[part],) = torch.autograd.grad(full, leaf, slope)
        ctx.save_for_backward(gradient)
        total = weights[0] * sums[0] + weights[1] * sums[1]
        ctx.mark_non_differentiable(sums)
        return total, sums

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Scale the stored gradient."""
        return ctx.saved_tensors[0] * grad_outputs[0], None, None, None, None


def resized(logits: Tensor, size: torch.Size) -> Tensor:
    """Logits (M, h, w) at `size`, bilinear with half-pixel centres and no antialiasing: (M, H, W)."""
    if logits.shape[1:] == size:
        return logits
    return F.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _compare(
    logits: Tensor, truth: Tensor, weights: tuple[float, float], focal: tuple[float, float], needs_gradient: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Focal sum (mean over pixels), dice sum, and the gradient of their weighted sum for logits (m, K), targets 0 or 1.

    With s = 2y - 1 and e = |y - p| = 1 - p_t, the focal gradient of a binary target is
    -s * alpha_t * e^gamma * (gamma * (1 - e) * bce + e), which is finite for every logit and every gamma >= 0.
    """
    alpha, gamma = focal
    p = logits.sigmoid()
    overlap, area = (p * truth).sum(1), p.sum(1) + truth.sum(1) + 1
    ratio = (2 * overlap + 1) / area  # (m,)
    error = (truth - p).abs_()
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    scale = error**gamma
    if alpha >= 0:
        scale *= truth * (2 * alpha - 1) + (1 - alpha)
    focal_sum = torch.linalg.vecdot(scale, bce).sum() / logits.shape[1]
    dice_sum = (1 - ratio).sum()
    if not needs_gradient:
        return focal_sum, dice_sum, None
    right = 1 - error
    slope = bce.mul_(right).mul_(gamma).add_(error).mul_(scale)  # of the focal loss, without its sign
    slope *= (1 - 2 * truth) * (weights[0] / logits.shape[1])
    by_p = (truth * -2 + ratio[:, None]) * (weights[1] / area)[:, None]  # d dice / d p
    return focal_sum, dice_sum, slope.addcmul_(by_p, error.mul_(right))
