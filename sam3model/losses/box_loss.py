"""Box regression: L1 and generalised IoU of the matched pairs."""

from dataclasses import dataclass

from torch import Tensor

from sam3model.losses.matcher import Matches
from sam3model.losses.terms import LossTerms
from sam3model.ops.boxes import cxcywh_to_xyxy, paired_giou
from sam3model.targets import Targets


@dataclass(frozen=True, slots=True)
class Boxes:
    """L1 over cxcywh and 1 - GIoU, summed over the pairs and divided by `num_boxes` (DETR; official `Boxes`)."""

    l1_weight: float = 5.0
    giou_weight: float = 2.0

    def __call__(self, boxes: Tensor, matches: Matches, targets: Targets, num_boxes: float | Tensor) -> LossTerms:
        """Loss of boxes (P, Q, 4) against their matched targets; 0 without matches.

        For a video batch that trains only the tracking queries, pass `matches.from_query(first)`.
        """
        predicted = boxes[matches.prompt, matches.query].float()  # (M, 4)
        truth = targets.boxes[matches.target]
        losses = {
            "loss_bbox": (predicted - truth).abs().sum() / num_boxes,
            "loss_giou": (1 - paired_giou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(truth))).sum() / num_boxes,
        }
        return LossTerms.weighted(losses, {"loss_bbox": self.l1_weight, "loss_giou": self.giou_weight})
