"""Losses of the video tracker: candidate masks per click, their predicted IoUs, and the object's visibility."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sam3model.losses.focal import dice_loss, sigmoid_focal_loss
from sam3model.losses.terms import LossTerms, mean_over_ranks


@dataclass(frozen=True, slots=True)
class TrackerStep:
    """One interaction on one frame.

    masks (N, M, H, W) candidate mask logits of N objects at the size of the truth; ious (N, M) their predicted IoUs;
    object_logits (N,) whether each object is visible.
    """

    masks: Tensor
    ious: Tensor
    object_logits: Tensor


def iou_loss(
    logits: Tensor,
    targets: Tensor,
    predicted: Tensor,
    num_boxes: float | Tensor,
    l1: bool = False,
    multimask: bool = False,
) -> Tensor:
    """Absolute (`l1`) or squared error of predicted IoUs (N, M) for mask logits and targets (N, M, H, W).

    The true IoU is that of the masks with a threshold at logit 0; two empty masks have IoU 0. Returns the sum, or
    (N, M) with `multimask`; both divided by `num_boxes`.
    """
    mine, truth = logits.flatten(2) > 0, targets.flatten(2) > 0
    actual = (mine & truth).sum(-1) / (mine | truth).sum(-1).clamp(min=1)
    error = predicted.float() - actual
    loss = (error.abs() if l1 else error.square()) / num_boxes
    return loss if multimask else loss.sum()


@dataclass(frozen=True, slots=True)
class MultiStepMultiMasksAndIous:
    """Loss over the frames and clicks of a clip (SAM 2, section 5; official `MultiStepMultiMasksAndIous`).

    Of the candidate masks of a click, only the one with the minimum weighted focal and dice loss is trained. With
    `pred_obj_scores`, an object that is absent from the frame trains only its visibility. across_ranks: divide by the
    mean number of objects of all processes, which must then call the loss together.
    """

    mask_weight: float = 20.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    class_weight: float = 1.0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    supervise_all_iou: bool = True
    iou_use_l1_loss: bool = True
    pred_obj_scores: bool = True
    focal_alpha_obj_score: float = -1.0
    focal_gamma_obj_score: float = 0.0
    across_ranks: bool = True

    def __call__(
        self, frames: Sequence[Sequence[TrackerStep]], targets: Tensor, annotated: Tensor | None = None
    ) -> LossTerms:
        """Loss over all frames and steps, divided by the mean number of objects per rank.

        targets (F, N, H, W) bool. annotated (F, N) bool: an object has no loss on frames where it is not annotated.
        """
        own = targets.new_full((), targets.shape[1], dtype=torch.float32)
        num_objects = (mean_over_ranks(own) if self.across_ranks else own).clamp(min=1)
        known = torch.ones_like(targets[:, :, 0, 0]) if annotated is None else annotated
        steps = [
            self._step(step, truth, seen, num_objects)
            for frame, truth, seen in zip(frames, targets, known, strict=True)
            for step in frame
        ]
        losses = {name: torch.stack([step[name] for step in steps]).sum() for name in steps[0]}
        weights = {
            "loss_mask": self.mask_weight,
            "loss_dice": self.dice_weight,
            "loss_iou": self.iou_weight,
            "loss_class": self.class_weight,
        }
        return LossTerms.weighted(losses, weights)

    def _step(self, step: TrackerStep, truth: Tensor, known: Tensor, num_objects: Tensor) -> dict[str, Tensor]:
        masks = step.masks.float()  # (N, M, H, W)
        wanted = truth[:, None].expand_as(masks).float()
        focal = sigmoid_focal_loss(masks, wanted, num_objects, self.focal_alpha, self.focal_gamma, multimask=True)
        dice = dice_loss(masks, wanted, num_objects, multimask=True)  # (N, M)
        iou = iou_loss(masks, wanted, step.ious, num_objects, self.iou_use_l1_loss, multimask=True)
        best = (focal * self.mask_weight + dice * self.dice_weight).argmin(-1, keepdim=True)  # (N, 1)
        iou = iou.mean(-1) if self.supervise_all_iou else iou.gather(1, best)[:, 0]
        parts = {"loss_mask": focal.gather(1, best)[:, 0], "loss_dice": dice.gather(1, best)[:, 0], "loss_iou": iou}
        if not self.pred_obj_scores:
            return {name: (part * known).sum() for name, part in parts.items()}
        visible = truth.flatten(1).any(1).float()
        losses = {name: (part * visible * known).sum() for name, part in parts.items()}
        losses["loss_class"] = sigmoid_focal_loss(
            step.object_logits.float()[known, None],
            visible[known, None],
            num_objects,
            self.focal_alpha_obj_score,
            self.focal_gamma_obj_score,
        )
        return losses
