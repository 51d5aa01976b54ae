"""Semantic segmentation: one mask per prompt, the union of its instances."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.losses.focal import dice_elements, focal_elements
from sam3model.losses.terms import LossTerms
from sam3model.targets import Targets


def instance_to_semantic(masks: Tensor, num_boxes: Tensor) -> Tensor:
    """Union of each prompt's packed masks: (N, H, W) bool, counts (P,) on the CPU -> (P, H, W) bool."""
    groups = masks.split(num_boxes.tolist())
    return torch.stack([group.any(0) for group in groups]) if groups else masks


def segment_miou(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean IoU of two boolean maps (P, ...) over the prompts with a non-empty truth; 1 if there are none."""
    predicted, truth = predicted.flatten(1), truth.flatten(1)
    iou = (predicted & truth).sum(1) / (predicted | truth).sum(1).clamp(min=1)
    filled = truth.any(1).sum()
    return torch.where(filled > 0, iou.sum() / filled.clamp(min=1), 1.0)


@dataclass(frozen=True, slots=True)
class SemanticSegCriterion:
    """Focal (or binary cross-entropy) and dice loss of the semantic head (official `SemanticSegCriterion`).

    presence_head: average over the prompts that have something to segment; otherwise over all. presence_loss: train the
    head's own presence logit. downsample: resize the truth to the prediction (a cell is set if any of it is covered);
    otherwise the prediction is resized to the truth. Prompts whose mask is not known completely
    (`Targets.is_pixel_exhaustive`) are left out: an instance without a mask is not background.

    If no prompt of the batch has an instance, the truth is one empty pixel per prompt, as in the official code. With
    `downsample`, where that code fails, it is empty at the size of the prediction.
    """

    seg_weight: float = 20.0
    dice_weight: float = 30.0
    presence_weight: float = 1.0
    presence_head: bool = True
    presence_loss: bool = False
    focal: bool = True
    focal_alpha: float = 0.6
    focal_gamma: float = 2.0
    downsample: bool = False

    def __call__(
        self, logits: Tensor, targets: Targets, presence: Tensor | None = None, rows: Tensor | None = None
    ) -> LossTerms:
        """Loss of logits (P, 1, H, W) against the targets' semantic masks or the union of their masks.

        rows (M,): the prompts that logits (M, 1, H, W) are for. presence (P,): only used with `presence_loss`.
        """
        logits, truth = self._aligned(logits.float(), self._truth(targets, rows))  # (P, H, W) both
        known = targets.pixels_known() if rows is None else targets.pixels_known()[rows]  # (P,)
        truth = truth & known[:, None, None]
        filled = truth.flatten(1).any(1)
        counted = filled if self.presence_head else known
        elements, hard = logits.flatten(1), truth.flatten(1).to(logits.dtype)
        if self.focal:
            seg = focal_elements(elements, hard, self.focal_alpha, self.focal_gamma).mean(1)
        else:
            seg = F.binary_cross_entropy_with_logits(elements, hard, reduction="none").mean(1)
        losses = {
            "loss_semantic_seg": self._average(seg, counted),
            "loss_semantic_dice": self._average(dice_elements(elements, hard), counted),
        }
        metrics = {"miou_semantic_seg": segment_miou(logits.detach() > 0, truth)}
        if self.presence_head and self.presence_loss and presence is not None:
            wrong = F.binary_cross_entropy_with_logits(presence.float(), filled.float(), reduction="none")
            losses["loss_semantic_presence"] = _mean(wrong, known)
            metrics["presence_acc"] = _mean(((presence > 0) == filled).float(), known)
        weights = {
            "loss_semantic_seg": self.seg_weight,
            "loss_semantic_dice": self.dice_weight,
            "loss_semantic_presence": self.presence_weight,
        }
        return LossTerms.weighted(losses, weights, metrics)

    def _truth(self, targets: Targets, rows: Tensor | None) -> Tensor:
        if targets.semantic_masks is not None:
            truth = targets.semantic_masks
        elif targets.masks is None or not len(targets):
            truth = torch.zeros(targets.prompts, 1, 1, dtype=torch.bool, device=targets.device)
        else:
            truth = instance_to_semantic(targets.masks, targets.num_boxes)
        return truth if rows is None else truth[rows]

    def _aligned(self, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        if logits.shape[-2:] == truth.shape[-2:]:
            return logits[:, 0], truth
        if self.downsample:
            size = logits.shape[-2:]
            truth = F.interpolate(truth[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0] > 0
            return logits[:, 0], truth
        return F.interpolate(logits, truth.shape[-2:], mode="bilinear", align_corners=False)[:, 0], truth

    def _average(self, per_prompt: Tensor, counted: Tensor) -> Tensor:
        if not self.presence_head:
            return _mean(per_prompt, counted)
        return (per_prompt * counted).sum() / (counted.sum() + 1e-6)


def _mean(per_prompt: Tensor, counted: Tensor) -> Tensor:
    return (per_prompt * counted).sum() / counted.sum().clamp(min=1)
