"""Validation: the loss and the concept F1 of held-out pictures."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.losses.targets import Targets
from sam3model.metrics.concept_f1 import SampleCounts, count_matches, summarise
from sam3model.structures import Detections
from sam3model.training.step import Loss, evaluate


@torch.no_grad()
def validate(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    *,
    threshold: float,
    precision: torch.dtype,
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Mean loss, cgF1 and its two factors (presence MCC, positive micro-F1), mean IoU of positive prompts' unions.

    Masks are compared at the resolution of the targets. `model` is in eval mode.
    """
    samples: list[SampleCounts] = []
    overlaps: list[float] = []
    total, prompts = 0.0, 0
    for batch in (batch.to(device) for batch in batches):
        detections, terms = evaluate(model, loss, batch, precision)
        total += terms.total.item() * batch.targets.prompts
        prompts += batch.targets.prompts
        for found, truth in masks_of(detections, batch.targets, threshold):
            samples.append(count_matches(mask_iou(truth, found)))
            if len(truth):
                overlaps.append(mask_iou(truth.any(0, keepdim=True), found.any(0, keepdim=True)).item())
    result = summarise(samples)
    return {
        "loss": total / max(prompts, 1),
        "cgF1": result.cgf1,
        "IL_MCC": result.il_mcc,
        "positive_micro_F1": result.pmf1,
        "mean_IoU": float(np.mean(overlaps)) if overlaps else 0.0,
    }


def masks_of(detections: Detections, targets: Targets, threshold: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Found and true masks (n, H, W) bool of each prompt, found ones at the size of the true ones."""
    if targets.masks is None or detections.main.masks is None:
        return
    scores = detections.main.logits.sigmoid() * detections.presence.sigmoid()[:, None]  # (P, Q)
    size = targets.masks.shape[-2:]
    truths = targets.masks.split(targets.num_boxes.tolist())
    for prompt, truth in enumerate(truths):
        kept = detections.main.masks[prompt, scores[prompt] > threshold]
        yield F.interpolate(kept[:, None], size=size, mode="bilinear")[:, 0] > 0, truth


def mask_iou(a: Tensor, b: Tensor) -> np.ndarray:
    """IoU of every mask of a (n, H, W) with every mask of b (m, H, W), (n, m); two empty masks have 0."""
    a, b = a.flatten(1).float(), b.flatten(1).float()
    both = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1) - both
    return (both / union.clamp(min=1)).cpu().numpy()
