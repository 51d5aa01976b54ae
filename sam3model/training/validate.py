"""Validation of the image model: loss, concept F1 and average precision on held-out images."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.detector.scoring import scores_of
from sam3model.losses.terms import LossTerms
from sam3model.metrics.average_precision import ApRules, AveragePrecision, strongest
from sam3model.metrics.concept_f1 import SampleCounts, count_matches, summarise
from sam3model.ops.boxes import box_iou, cxcywh_to_xyxy
from sam3model.ops.masks import mask_iou
from sam3model.ops.nms import distinct_masks
from sam3model.structures import Detections
from sam3model.targets import Targets
from sam3model.training.panel import Example
from sam3model.training.parallel import World
from sam3model.training.passes import Correction, detect
from sam3model.training.training_log import Metrics

log = logging.getLogger(__name__)

_RULES = ApRules()

Loss = Callable[[Detections, Targets], LossTerms]
Interaction = Callable[[Batch], Sequence[Correction]]
"""Gives the corrections of a batch, each of which is followed by another pass."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Metrics by name, and the first examples for a panel."""

    metrics: Metrics
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class BoxMatches:
    """Highest-scoring boxes of a phrase in an image: IoU with the true boxes (D, G) float64, scores (D,) float32.

    complete: whether every instance is annotated.
    """

    phrase: str
    iou: np.ndarray
    scores: np.ndarray
    complete: bool = True

    def is_answered(self, threshold: float) -> bool:
        """Whether a box has a score above the threshold."""
        return bool((self.scores > threshold).any())


@dataclass(frozen=True, slots=True)
class MaskMatches:
    """How well the masks of prompts match: counts of every prompt, IoU of the unions, None without a true mask.

    complete: whether every instance of a prompt is annotated, with its mask.
    """

    samples: tuple[SampleCounts, ...]
    overlaps: tuple[float | None, ...]
    complete: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What one batch adds to the metrics: its mean loss, and how well the boxes and masks of its prompts match.

    masks: of the first pass, then after each correction.
    """

    loss: float
    boxes: tuple[BoxMatches, ...]
    masks: tuple[MaskMatches, ...]
    examples: tuple[Example, ...]


def validate(
    network: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    *,
    threshold: float,
    precision: torch.dtype,
    nms: float | None = None,
    examples: int = 0,
    world: World | None = None,
    interaction: Interaction | None = None,
) -> Validation:
    """Mean loss, cgF1 and its factors (presence MCC, positive micro-F1), AP, and mean IoU of positive prompts' unions.

    `absent_right` is the fraction of prompts that match nothing and got no detection; `AP_with_absent` is its product
    with AP. AP is COCO's over boxes, with each phrase a category. Masks are compared at the resolution of the targets.
    Prompts whose instances are not all annotated, for masks with theirs, are left out as in the official cgF1: what is
    found there may be right. If that leaves no prompt with a target, all count.

    Args:
        network: a `MultiPassModel` in eval mode.
        loss: criterion of the first pass.
        batches: the batches of this process.
        threshold: minimum score of a detection.
        precision: type of the forward pass, under autocast.
        nms: as `DetectorConfig.nms`, so that validation keeps the masks that the predictor keeps.
        examples: number of prompts to keep for a panel.
        world: the processes that share the validation set. The first one gets the metrics of all batches, the others
            get none.
        interaction: corrects the prompts; `cgF1@k` and `mean_IoU@k` are the metrics after k corrections.
    """
    world, results = world or World(), list[BatchResult]()
    for batch in (batch.to(world.device) for batch in batches):
        missing = examples - sum(len(one.examples) for one in results)
        corrections = interaction(batch) if interaction else ()
        results.append(validate_batch(network, loss, batch, threshold, precision, nms, missing, corrections))
    return summarise_batches(world.in_turn(results), examples, threshold)


@torch.no_grad()
def validate_batch(
    network: nn.Module,
    loss: Loss,
    batch: Batch,
    threshold: float,
    precision: torch.dtype,
    nms: float | None,
    examples: int,
    corrections: Sequence[Correction] = (),
) -> BatchResult:
    """Validate one batch, as in `validate`; keeps its first `examples` prompts as examples."""
    passes = detect(network, batch, precision, corrections)
    masks = (masks_of(detections, batch.targets, threshold, nms) for detections in passes)
    first, complete = list(next(masks)), _complete_masks(batch.targets)
    return BatchResult(
        loss(passes[0], batch.targets).shown,
        tuple(match_boxes(passes[0], batch)),
        (_match_masks(first, complete), *(_match_masks(pairs, complete) for pairs in masks)),
        tuple(_example(batch, prompt, *pair) for prompt, pair in enumerate(first[: max(examples, 0)])),
    )


def _complete_masks(targets: Targets) -> list[bool]:
    """Which prompts have all their instances annotated, with masks."""
    known = torch.ones(len(targets), dtype=torch.bool) if targets.is_valid_mask is None else targets.is_valid_mask.cpu()
    whole = [bool(part.all()) for part in known.split(targets.num_boxes.tolist())]
    return [one and exhaustive for one, exhaustive in zip(whole, targets.is_exhaustive.tolist(), strict=True)]


def _match_masks(pairs: Iterable[tuple[Tensor, Tensor]], complete: Sequence[bool]) -> MaskMatches:
    """Match predicted and true masks, which arrive one prompt at a time."""
    samples, overlaps = list[SampleCounts](), list[float | None]()
    for predicted, truth in pairs:
        samples.append(count_matches(mask_iou(truth, predicted).cpu().numpy()))
        union = mask_iou(truth.any(0, keepdim=True), predicted.any(0, keepdim=True)) if truth.any() else None
        overlaps.append(None if union is None else union.item())
    return MaskMatches(tuple(samples), tuple(overlaps), tuple(complete[: len(samples)]))


def summarise_batches(results: Sequence[BatchResult], examples: int, threshold: float) -> Validation:
    """Metrics over all batches; empty without batches. Metrics that do not apply to the prompts are None."""
    if not results:
        return Validation({}, ())
    boxes = [match for batch in results for match in batch.boxes]
    precision_of_boxes = AveragePrecision(_RULES)
    whole = [match for match in boxes if match.complete]
    if len(whole) < len(boxes):
        log.info("%d of %d phrases are annotated completely: metrics are of these", len(whole), len(boxes))
    for prompt, match in enumerate(whole if any(match.iou.shape[1] for match in whole) else boxes):
        precision_of_boxes.update(match.phrase, prompt, match.iou, match.scores)
    ap = max(precision_of_boxes.compute().ap, 0.0) if any(match.iou.shape[1] for match in boxes) else None
    silent = [not match.is_answered(threshold) for match in boxes if not match.iou.shape[1]]
    absent_right = float(np.mean(silent)) if silent else None
    first, *corrected = [_joined(passes) for passes in zip(*(batch.masks for batch in results), strict=True)]
    metrics = {
        "loss": sum(batch.loss * len(batch.boxes) for batch in results) / max(len(boxes), 1),
        **_mask_metrics(first),
        "AP": ap,
        "absent_right": absent_right,
        "AP_with_absent": None if ap is None or absent_right is None else ap * absent_right,
    }
    for count, masks in enumerate(corrected, 1):
        after = _mask_metrics(masks)
        metrics |= {f"{name}@{count}": after[name] for name in ("cgF1", "mean_IoU")}
    return Validation(metrics, tuple(example for batch in results for example in batch.examples)[:examples])


def _mask_metrics(found: MaskMatches) -> dict[str, float | None]:
    """Metrics of masks; None: no prompt has a mask, or cgF1 and its factor without prompts that match nothing."""
    rows = list(zip(found.samples, found.overlaps, found.complete, strict=True))
    whole = [row for row in rows if row[2]]
    counted = whole if any(sample.targets for sample, *_ in whole) else rows
    samples, overlaps = [row[0] for row in counted], [row[1] for row in counted if row[1] is not None]
    result = summarise(samples)
    masked, absent = bool(overlaps), any(not sample.targets for sample in samples)
    return {
        "cgF1": result.cgf1 if masked and absent else None,
        "IL_MCC": result.il_mcc if masked and absent else None,
        "positive_micro_F1": result.pmf1 if masked else None,
        "mean_IoU": _mean(overlaps) if masked else None,
    }


def _joined(parts: Sequence[MaskMatches]) -> MaskMatches:
    return MaskMatches(
        tuple(sample for part in parts for sample in part.samples),
        tuple(overlap for part in parts for overlap in part.overlaps),
        tuple(complete for part in parts for complete in part.complete),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def match_boxes(detections: Detections, batch: Batch) -> Iterator[BoxMatches]:
    """Match the boxes of every prompt of a batch with its true boxes."""
    scores = scores_of(detections.main.logits, detections.presence).cpu().numpy()  # (P, Q)
    predicted, truths = cxcywh_to_xyxy(detections.main.boxes), cxcywh_to_xyxy(batch.targets.boxes)
    for prompt, truth in enumerate(truths.split(batch.targets.num_boxes.tolist())):
        best = strongest(scores[prompt], _RULES.max_detections[-1])
        iou = box_iou(predicted[prompt, torch.from_numpy(best).to(predicted.device)], truth).cpu().numpy()  # (D, G)
        complete = bool(batch.targets.is_exhaustive[prompt])
        yield BoxMatches(batch.phrases[prompt], iou.astype(np.float64), scores[prompt, best], complete)


def _example(batch: Batch, prompt: int, predicted: Tensor, truth: Tensor) -> Example:
    pixels = batch.pixels[batch.image_index[prompt]].float()  # (3, S, S) in -1..1
    image = ((pixels + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return Example(image, batch.phrases[prompt], predicted.cpu().numpy(), truth.cpu().numpy())


def masks_of(
    detections: Detections, targets: Targets, threshold: float, nms: float | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Predicted and true masks (n, H, W) bool of each prompt, both at the size of the true ones."""
    if targets.masks is None or detections.main.masks is None:
        return
    scores = scores_of(detections.main.logits, detections.presence)  # (P, Q)
    size = targets.masks.shape[-2:]
    truths = targets.masks.split(targets.num_boxes.tolist())
    for prompt, truth in enumerate(truths):
        above = scores[prompt] > threshold
        kept = detections.main.masks[prompt, above]
        if nms is not None:
            kept = kept[distinct_masks(kept > 0, scores[prompt, above], nms)]
        yield F.interpolate(kept[:, None], size=size, mode="bilinear")[:, 0] > 0, truth
