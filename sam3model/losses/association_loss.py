"""Losses for associating detections with tracks. No published recipe uses them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.losses.terms import LossTerms

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Det2TrkAssoc:
    """Classify each detection as one of the tracks, "new object" or "false positive" (official `Det2TrkAssoc`).

    use_fp_loss: also train unmatched detections with a positive class logit, as false positives. By default only in
    exhaustively annotated prompts; without `fp_loss_on_exhaustive_only`, in all. treat_fp_as_new_obj: train them as new
    objects instead, in all prompts.
    """

    weight: float = 1.0
    use_fp_loss: bool = False
    fp_loss_on_exhaustive_only: bool = True
    treat_fp_as_new_obj: bool = False

    def __call__(
        self, logits: Tensor, object_ids: Tensor, class_logits: Tensor, exhaustive: Tensor, num_boxes: float | Tensor
    ) -> LossTerms:
        """Loss of logits (P, Q_det, Q_trk + 2), whose last two columns are "new" and "false positive".

        object_ids (P, Q_det + Q_trk): the matched object of every query, negative for none. class_logits has the same
        shape. exhaustive (P,) bool. Prompts without a matched track are left out.
        """
        detections = logits.shape[1]
        own, tracks = object_ids[:, :detections], object_ids[:, detections:]
        labels = _labels(own, tracks)  # (P, Q_det)
        if self.use_fp_loss:
            wrong = (own < 0) & (class_logits[:, :detections] > 0)
            if self.fp_loss_on_exhaustive_only and not self.treat_fp_as_new_obj:
                wrong = wrong & exhaustive[:, None]
            label = tracks.shape[1] if self.treat_fp_as_new_obj else tracks.shape[1] + 1
            labels = labels.masked_fill(wrong, label)
        loss = _gated_cross_entropy(logits, labels, tracks, num_boxes)
        return LossTerms.weighted({"loss_det2trk_assoc": loss}, {"loss_det2trk_assoc": self.weight})


@dataclass(frozen=True, slots=True)
class TrackingByDetectionAssoc:
    """Classify detections by track and tracks by detection (official `TrackingByDetectionAssoc`)."""

    det2trk_weight: float = 1.0
    trk2det_weight: float = 1.0

    def __call__(self, logits: Tensor, object_ids: Tensor, track_ids: Tensor, num_boxes: float | Tensor) -> LossTerms:
        """Loss of logits (P, Q_det + 1, Q_trk + 1), whose last row and column stand for "none".

        object_ids (P, Q_det) and track_ids (P, Q_trk): the matched objects, negative for none. Prompts without a
        matched track are left out.
        """
        losses = {
            "loss_det2trk_assoc": _gated_cross_entropy(
                logits[:, :-1], _labels(object_ids, track_ids), track_ids, num_boxes
            ),
            "loss_trk2det_assoc": _gated_cross_entropy(
                logits[:, :, :-1].transpose(1, 2), _labels(track_ids, object_ids), track_ids, num_boxes
            ),
        }
        weights = {"loss_det2trk_assoc": self.det2trk_weight, "loss_trk2det_assoc": self.trk2det_weight}
        return LossTerms.weighted(losses, weights)


def _labels(ids: Tensor, others: Tensor) -> Tensor:
    """Index of each of `ids` (P, N) in `others` (P, M): M if it is not there, IGNORED for a negative id."""
    same = ids[:, :, None] == others[:, None]  # (P, N, M)
    found = torch.cat((same, torch.ones_like(ids, dtype=torch.bool)[..., None]), dim=-1)  # column M: none
    return found.int().argmax(-1).masked_fill(ids < 0, IGNORED)  # argmax takes the first


def _gated_cross_entropy(logits: Tensor, labels: Tensor, tracks: Tensor, num_boxes: float | Tensor) -> Tensor:
    """Summed cross-entropy (P, N, C) of prompts with a track, divided by P * num_boxes."""
    loss = F.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")  # (P, N)
    has_track = (tracks >= 0).any(1, keepdim=True)
    return (loss * has_track).sum() / (logits.shape[0] * num_boxes)
