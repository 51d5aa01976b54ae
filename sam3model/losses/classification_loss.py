"""Classification of queries with IoU-aware soft targets, and presence of the phrase in the image."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.losses.focal import focal_elements
from sam3model.losses.matcher import Matches
from sam3model.losses.terms import LossTerms, mean_over_ranks
from sam3model.ops.boxes import cxcywh_to_xyxy, paired_iou
from sam3model.targets import Targets

SOFT_TARGET_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class TrackingScales:
    """Factors on the elements of detection queries (before `first_track_query`) and tracking queries (from it on)."""

    exhaustive_positive: float = 1.0
    exhaustive_negative: float = 1.0
    other_positive: float = 1.0
    other_negative: float = 1.0
    track_positive: float = 1.0
    track_negative: float = 1.0

    def __call__(self, positive: Tensor, exhaustive: Tensor, first_track_query: int) -> Tensor:
        """Factor of every query: positive (P, Q) bool, exhaustive (P,) bool -> (P, Q)."""
        one = torch.ones(positive.shape, device=positive.device)
        exhaustive_part = torch.where(positive, one * self.exhaustive_positive, self.exhaustive_negative)
        other_part = torch.where(positive, one * self.other_positive, self.other_negative)
        detection = torch.where(exhaustive[:, None], exhaustive_part, other_part)
        tracking = torch.where(positive, one * self.track_positive, self.track_negative)
        is_track = torch.arange(positive.shape[1], device=positive.device) >= first_track_query
        return torch.where(is_track, tracking, detection)


@dataclass(frozen=True, slots=True)
class IABCEMdetr:
    """IoU-aware binary cross-entropy (official `IABCEMdetr`; soft targets after Align-DETR, arXiv 2304.07527).

    The target of a matched query is t = max(p^alpha * IoU^(1 - alpha), 0.01), without gradient; that of an unmatched
    one is 0, weighted by p^gamma. With `use_presence`, prompts whose phrase is absent are left out: they train the
    presence token, by focal loss. The mean is over P * Q, or P * pad_n_queries if Q is smaller. weak_loss: leave out
    the negatives of prompts that are not annotated exhaustively, and average over the rest. weak_presence (not in the
    official loss): leave out the presence of such prompts if they have no target: the phrase may be present after all.

    Fixes three faults of the official loss. Two zero-area boxes have IoU 0 (there nan, which reaches the loss). If
    several targets are matched to one query, the last one is used on every device (there undefined on GPU). The
    presence gradient is finite for any logit (see `focal_elements`). A nan logit still makes the loss nan, so that the
    trainer notices.
    """

    weight: float = 20.0
    presence_weight: float = 20.0
    pos_weight: float = 10.0
    alpha: float = 0.25
    gamma: float = 2.0
    use_presence: bool = True
    presence_alpha: float = 0.5
    presence_gamma: float = 0.0
    weak_loss: bool = False
    weak_presence: bool = False
    pos_focal: bool = False
    pad_n_queries: int | None = 200
    pad_scale_pos: float = 1.0
    tracking_scales: TrackingScales | None = None

    def __call__(
        self,
        logits: Tensor,
        boxes: Tensor,
        presence: Tensor | None,
        matches: Matches,
        targets: Targets,
        *,
        first_track_query: int = 0,
        ignored: Tensor | None = None,
        rank_weight: float | None = None,
    ) -> LossTerms:
        """Loss of logits (P, Q) with cxcywh boxes (P, Q, 4) and presence logits (P,), None if a layer has none.

        first_track_query: index of the first tracking query, for `tracking_scales`. ignored (P, Q): True for elements
        without loss (propagated false positives of prompts that are not exhaustive). rank_weight: the weight of this
        rank's means over prompts; `weak_loss` then averages over the elements of all ranks.
        """
        logits = logits.float()
        soft = self._soft_targets(logits.detach(), boxes.detach(), matches, targets)  # (P, Q), -1 where unmatched
        positive = soft >= 0
        elements = self._elements(logits, soft.clamp(min=0), positive)
        if self.tracking_scales is not None:
            elements = elements * self.tracking_scales(positive, targets.is_exhaustive, first_track_query)
        if ignored is not None:
            elements = elements.masked_fill(ignored, 0)
        present = targets.present()
        if self.use_presence:
            elements = elements * present[:, None]
        losses = {"loss_ce": self._reduce(elements, positive, targets.is_exhaustive, rank_weight)}
        metrics = {"ce_f1": _binary_f1(logits.detach() > 0, positive)}
        if self.use_presence and presence is not None:
            presence = presence.float()
            per_prompt = focal_elements(presence, present, self.presence_alpha, self.presence_gamma)
            if self.weak_presence:
                per_prompt = per_prompt * (present | targets.is_exhaustive)
            losses["presence_loss"] = per_prompt.mean()
            metrics["presence_dec_acc"] = ((presence > 0) == present).float().mean()
        return LossTerms.weighted(losses, {"loss_ce": self.weight, "presence_loss": self.presence_weight}, metrics)

    def _soft_targets(self, logits: Tensor, boxes: Tensor, matches: Matches, targets: Targets) -> Tensor:
        predicted = cxcywh_to_xyxy(boxes[matches.prompt, matches.query].float())
        iou = paired_iou(predicted, cxcywh_to_xyxy(targets.boxes[matches.target]))  # (M,)
        p = logits[matches.prompt, matches.query].sigmoid()
        values = (p**self.alpha * iou ** (1 - self.alpha)).clamp(min=SOFT_TARGET_FLOOR)
        cell = matches.prompt * logits.shape[1] + matches.query
        last = torch.full((logits.numel(),), -1, device=logits.device)
        last.scatter_reduce_(0, cell, torch.arange(len(matches), device=logits.device), "amax")
        return torch.cat((values, values.new_full((1,), -1)))[last].view_as(logits)  # index -1 is the appended -1

    def _elements(self, logits: Tensor, soft: Tensor, positive: Tensor) -> Tensor:
        if self.pos_focal:
            on_positive = focal_elements(logits, soft, 0.5, self.gamma)
        else:
            on_positive = F.binary_cross_entropy_with_logits(logits, soft, reduction="none")
        on_positive = on_positive * self.pos_weight
        if self.pad_n_queries and logits.shape[1] < self.pad_n_queries:
            on_positive = on_positive * self.pad_scale_pos
        return torch.where(positive, on_positive, F.softplus(logits) * logits.sigmoid() ** self.gamma)

    def _reduce(self, elements: Tensor, positive: Tensor, exhaustive: Tensor, rank_weight: float | None) -> Tensor:
        if self.weak_loss:
            counted = (exhaustive[:, None] | positive).to(elements.dtype)
            count = counted.sum() if rank_weight is None else mean_over_ranks(counted.sum()) * rank_weight
            return (elements * counted).sum() / (count + 1e-6)
        rows, queries = elements.shape
        return elements.sum() / (rows * max(queries, self.pad_n_queries or 0))


def _binary_f1(predicted: Tensor, truth: Tensor) -> Tensor:
    """F1 of two boolean tensors over all elements; 0 if both are empty."""
    both = (predicted & truth).sum()
    return 2 * both / (predicted.sum() + truth.sum()).clamp(min=1)
