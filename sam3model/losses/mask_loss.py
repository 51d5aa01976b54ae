"""Focal and dice loss of the matched masks, over all pixels or at sampled points."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.errors import InputError
from sam3model.losses.dense_mask_loss import DenseMaskLoss
from sam3model.losses.focal import dice_loss, sigmoid_focal_loss
from sam3model.losses.matcher import Matches
from sam3model.losses.terms import LossTerms
from sam3model.structures import QueryOutputs
from sam3model.targets import Targets


@dataclass(frozen=True, slots=True)
class PointSampler:
    """Samples the points at which masks are compared, mostly uncertain ones (PointRend, arXiv 1912.08193).

    Of num_points * oversample uniform candidates per mask, the int(importance * num_points) with the smallest |logit|
    are kept, in ascending order of |logit|; the rest of the num_points are uniform.
    """

    num_points: int = 12544
    oversample: int = 3
    importance: float = 0.75

    @property
    def uncertain(self) -> int:
        """Number of points chosen by uncertainty."""
        return int(self.importance * self.num_points)

    def draw(self, masks: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Uniform points in the unit square: candidates (M, num_points * oversample, 2) and the rest (M, rest, 2)."""
        candidates = torch.rand(masks, self.num_points * self.oversample if self.uncertain else 0, 2, device=device)
        return candidates, torch.rand(masks, self.num_points - self.uncertain, 2, device=device)

    @torch.no_grad()
    def select(self, logits: Tensor, candidates: Tensor, plain: Tensor) -> Tensor:
        """The points (M, num_points, 2), xy in 0..1, for mask logits (M, H, W), from the two draws."""
        if not self.uncertain:
            return plain
        doubt = point_sample(logits, candidates).abs()
        chosen = doubt.argsort(dim=1, stable=True)[:, : self.uncertain]
        return torch.cat((candidates.gather(1, chosen[..., None].expand(-1, -1, 2)), plain), dim=1)


def point_sample(maps: Tensor, points: Tensor) -> Tensor:
    """Sample maps (M, H, W) bilinearly at points (M, K, 2), xy in 0..1 of the map, zero outside: (M, K)."""
    return F.grid_sample(maps[:, None], 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]


@dataclass(frozen=True, slots=True)
class Masks:
    """Focal and dice loss of the matched masks, divided by `num_boxes` (MaskFormer; official `Masks`).

    Targets without a valid mask are left out of the sums, but not of the divisor. Without `sampler`, logits are resized
    to the size of the targets (bilinear, half-pixel centres); with it, both are sampled at its points.
    """

    focal_weight: float = 200.0
    dice_weight: float = 10.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    sampler: PointSampler | None = None

    def __call__(
        self,
        outputs: QueryOutputs,
        matches: Matches,
        targets: Targets,
        num_boxes: float | Tensor,
        draws: tuple[Tensor, Tensor] | None = None,
    ) -> LossTerms:
        """Loss of `outputs.masks` against the targets' masks; 0 if either is missing, as in auxiliary layers.

        Only the matched masks are read and converted to float32. draws: replaces `sampler.draw`.

        Raises:
            InputError: a prompt with a matched target has no masks (see `QueryOutputs.mask_rows`).
        """
        weights = {"loss_mask": self.focal_weight, "loss_dice": self.dice_weight}
        if outputs.masks is None or targets.masks is None:
            nothing = outputs.logits.new_zeros((), dtype=torch.float32)
            return LossTerms.weighted(dict.fromkeys(weights, nothing), weights)
        logits, target = _pairs(outputs.masks, outputs.mask_rows, matches, targets)  # (M, h, w), (M,)
        if not len(logits):  # 0, but part of the graph
            return LossTerms.weighted(dict.fromkeys(weights, logits.sum()), weights)
        if self.sampler is None:
            pair = (self.focal_weight, self.dice_weight), (self.focal_alpha, self.focal_gamma)
            total, sums = DenseMaskLoss.apply(logits, targets.masks, target, *pair)  # type: ignore[misc]
            return LossTerms(total / num_boxes, dict(zip(weights, sums / num_boxes, strict=True)))
        points = self.sampler.select(logits, *(draws or self.sampler.draw(len(logits), logits.device)))
        truth = point_sample(targets.masks[target].to(logits.dtype), points)  # (M, K)
        logits = point_sample(logits, points)
        losses = {
            "loss_mask": sigmoid_focal_loss(logits, truth, num_boxes, self.focal_alpha, self.focal_gamma),
            "loss_dice": dice_loss(logits, truth, num_boxes),
        }
        return LossTerms.weighted(losses, weights)


def _pairs(masks: Tensor, mask_rows: Tensor | None, matches: Matches, targets: Targets) -> tuple[Tensor, Tensor]:
    """The matched mask logits with a valid target in float32 (M, H, W), and the packed index of that target (M,)."""
    prompt, query, target = matches.prompt, matches.query, matches.target
    if targets.is_valid_mask is not None:
        valid = targets.is_valid_mask[target]
        prompt, query, target = prompt[valid], query[valid], target[valid]
    row = prompt
    if mask_rows is not None:
        row_of = torch.full((targets.prompts,), -1, device=prompt.device)
        row_of[mask_rows] = torch.arange(len(mask_rows), device=prompt.device)
        row = row_of[prompt]
        if (row < 0).any():
            raise InputError("a prompt with targets has no predicted masks: check mask_prompts")
    return masks[row, query].float(), target
