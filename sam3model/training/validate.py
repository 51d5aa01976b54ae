"""Validation: the loss, the concept F1 and the average precision of held-out pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.losses.targets import Targets
from sam3model.metrics.average_precision import AveragePrecision, strongest
from sam3model.metrics.concept_f1 import SampleCounts, count_matches, summarise
from sam3model.ops.boxes import box_iou, cxcywh_to_xyxy
from sam3model.ops.nms import distinct_masks
from sam3model.structures import Detections
from sam3model.training.panel import Example
from sam3model.training.step import Loss, evaluate


@dataclass(frozen=True, slots=True)
class Validation:
    """The figures, and the first examples to look at."""

    metrics: dict[str, float]
    examples: tuple[Example, ...]


@torch.no_grad()
def validate(
    model: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    *,
    threshold: float,
    precision: torch.dtype,
    nms: float | None = None,
    device: torch.device | str = "cpu",
    examples: int = 0,
) -> Validation:
    """Mean loss, cgF1 and its two factors (presence MCC, positive micro-F1), mean IoU of positive prompts' unions, AP.

    AP is COCO's over boxes, each phrase a category. Masks are compared at the resolution of the targets. `model` is in
    eval mode. nms: as `DetectorConfig.nms`, so that validation keeps what the predictor keeps. examples: so many
    prompts are kept to be drawn.
    """
    samples: list[SampleCounts] = []
    overlaps: list[float] = []
    shown: list[Example] = []
    precision_of_boxes = AveragePrecision()
    total, prompts = 0.0, 0
    for batch in (batch.to(device) for batch in batches):
        detections, terms = evaluate(model, loss, batch, precision)
        add_boxes(precision_of_boxes, detections, batch, prompts)
        total += terms.total.item() * batch.targets.prompts
        prompts += batch.targets.prompts
        for prompt, (found, truth) in enumerate(masks_of(detections, batch.targets, threshold, nms)):
            samples.append(count_matches(mask_iou(truth, found)))
            if len(shown) < examples:
                shown.append(_example(batch, prompt, found, truth))
            if len(truth):
                overlaps.append(mask_iou(truth.any(0, keepdim=True), found.any(0, keepdim=True)).item())
    result = summarise(samples)
    metrics = {
        "loss": total / max(prompts, 1),
        "cgF1": result.cgf1,
        "IL_MCC": result.il_mcc,
        "positive_micro_F1": result.pmf1,
        "mean_IoU": float(np.mean(overlaps)) if overlaps else 0.0,
        "AP": max(precision_of_boxes.compute().ap, 0.0),
    }
    return Validation(metrics, tuple(shown))


def add_boxes(metric: AveragePrecision, detections: Detections, batch: Batch, first: int) -> None:
    """Match the boxes of every prompt of a batch, whose first prompt has the number `first`, as its phrase's."""
    scores = (detections.main.logits.sigmoid() * detections.presence.sigmoid()[:, None]).cpu().numpy()  # (P, Q)
    found, truths = cxcywh_to_xyxy(detections.main.boxes), cxcywh_to_xyxy(batch.targets.boxes)
    for prompt, truth in enumerate(truths.split(batch.targets.num_boxes.tolist())):
        best = strongest(scores[prompt], metric.rules.max_detections[-1])
        iou = box_iou(found[prompt, torch.from_numpy(best).to(found.device)], truth).cpu().numpy()  # (D, G)
        metric.update(
            batch.phrases[prompt],
            first + prompt,
            iou.astype(np.float64),
            scores[prompt, best],
        )


def _example(batch: Batch, prompt: int, found: Tensor, truth: Tensor) -> Example:
    pixels = batch.pixels[batch.image_index[prompt]].float()  # (3, S, S) in -1..1
    picture = ((pixels + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return Example(picture, batch.phrases[prompt], found.cpu().numpy(), truth.cpu().numpy())


def masks_of(
    detections: Detections, targets: Targets, threshold: float, nms: float | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Found and true masks (n, H, W) bool of each prompt, found ones at the size of the true ones."""
    if targets.masks is None or detections.main.masks is None:
        return
    scores = detections.main.logits.sigmoid() * detections.presence.sigmoid()[:, None]  # (P, Q)
    size = targets.masks.shape[-2:]
    truths = targets.masks.split(targets.num_boxes.tolist())
    for prompt, truth in enumerate(truths):
        above = scores[prompt] > threshold
        kept = detections.main.masks[prompt, above]
        if nms is not None:
            kept = kept[distinct_masks(kept > 0, scores[prompt, above], nms)]
        yield F.interpolate(kept[:, None], size=size, mode="bilinear")[:, 0] > 0, truth


def mask_iou(a: Tensor, b: Tensor) -> np.ndarray:
    """IoU of every mask of a (n, H, W) with every mask of b (m, H, W), (n, m); two empty masks have 0."""
    a, b = a.flatten(1).float(), b.flatten(1).float()
    both = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1) - both
    return (both / union.clamp(min=1)).cpu().numpy()
