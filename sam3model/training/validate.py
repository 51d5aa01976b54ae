"""Validation: the loss, the concept F1 and the average precision of held-out pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.detector.scoring import scores_of
from sam3model.metrics.average_precision import ApRules, AveragePrecision, strongest
from sam3model.metrics.concept_f1 import SampleCounts, count_matches, summarise
from sam3model.ops.boxes import box_iou, cxcywh_to_xyxy
from sam3model.ops.masks import mask_iou
from sam3model.ops.nms import distinct_masks
from sam3model.structures import Correction, Detections
from sam3model.targets import Targets
from sam3model.training.panel import Example
from sam3model.training.parallel import World
from sam3model.training.step import Interaction, Loss, detect

_RULES = ApRules()


@dataclass(frozen=True, slots=True)
class Validation:
    """The figures, and the first examples to look at."""

    metrics: dict[str, float]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class BoxMatches:
    """Strongest boxes of a phrase on a picture: IoU with the true ones (D, G) float64, and scores (D,) float32."""

    phrase: str
    iou: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, slots=True)
class Outlines:
    """How the masks of prompts fit: counts of every one, overlaps of those that have a true mask."""

    samples: tuple[SampleCounts, ...]
    overlaps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one batch adds to the figures: its mean loss, and how the boxes and masks of its prompts fit.

    outlines: of the first pass, then after each correction.
    """

    loss: float
    boxes: tuple[BoxMatches, ...]
    outlines: tuple[Outlines, ...]
    examples: tuple[Example, ...]


def validate(
    model: nn.Module,
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
    """Mean loss, cgF1 and its two factors (presence MCC, positive micro-F1), mean IoU of positive prompts' unions, AP.

    AP is COCO's over boxes, each phrase a category. Masks are compared at the resolution of the targets. `model` is in
    eval mode. nms: as `DetectorConfig.nms`, so that validation keeps what the predictor keeps. examples: so many
    prompts are kept to be drawn. world: `batches` are this process's turns among all; the first process gets the
    figures of all of them, which are those of one process, and the others empty ones. interaction: correct the answers;
    `cgF1@k` and `mean_IoU@k` are those after k corrections of every prompt.
    """
    world, judged = world or World(), list[Judged]()
    for batch in (batch.to(world.device) for batch in batches):
        shown = sum(len(one.examples) for one in judged)
        corrections = interaction(batch) if interaction else ()
        judged.append(judge(model, loss, batch, threshold, precision, nms, examples - shown, corrections))
    return summed(world.in_turn(judged), examples)


@torch.no_grad()
def judge(
    model: nn.Module,
    loss: Loss,
    batch: Batch,
    threshold: float,
    precision: torch.dtype,
    nms: float | None,
    examples: int,
    corrections: Sequence[Correction] = (),
) -> Judged:
    """One batch, as `validate` says; `examples` of its first prompts are kept."""
    passes = detect(model, batch, precision, corrections=corrections).passes
    answers = (masks_of(detections, batch.targets, threshold, nms) for detections in passes)
    first = list(next(answers))
    return Judged(
        loss(passes[0], batch.targets).total.item(),
        tuple(match_boxes(passes[0], batch)),
        (_outlines(first), *map(_outlines, answers)),
        tuple(_example(batch, prompt, *answer) for prompt, answer in enumerate(first[: max(examples, 0)])),
    )


def _outlines(answers: Iterable[tuple[Tensor, Tensor]]) -> Outlines:
    """Of found and true masks, which are needed one prompt at a time."""
    samples, overlaps = list[SampleCounts](), list[float]()
    for found, truth in answers:
        samples.append(count_matches(mask_iou(truth, found).cpu().numpy()))
        if len(truth):
            overlaps.append(mask_iou(truth.any(0, keepdim=True), found.any(0, keepdim=True)).item())
    return Outlines(tuple(samples), tuple(overlaps))


def summed(judged: Sequence[Judged], examples: int) -> Validation:
    """The figures over batches in order; without any, none."""
    if not judged:
        return Validation({}, ())
    boxes = [match for batch in judged for match in batch.boxes]
    precision_of_boxes = AveragePrecision(_RULES)
    for prompt, match in enumerate(boxes):
        precision_of_boxes.update(match.phrase, prompt, match.iou, match.scores)
    first, *corrected = [_joined(passes) for passes in zip(*(batch.outlines for batch in judged), strict=True)]
    result = summarise(first.samples)
    metrics = {
        "loss": sum(batch.loss * len(batch.boxes) for batch in judged) / max(len(boxes), 1),
        "cgF1": result.cgf1,
        "IL_MCC": result.il_mcc,
        "positive_micro_F1": result.pmf1,
        "mean_IoU": _mean(first.overlaps),
        "AP": max(precision_of_boxes.compute().ap, 0.0),
    }
    for number, outlines in enumerate(corrected, 1):
        metrics |= {f"cgF1@{number}": summarise(outlines.samples).cgf1, f"mean_IoU@{number}": _mean(outlines.overlaps)}
    return Validation(metrics, tuple(example for batch in judged for example in batch.examples)[:examples])


def _joined(parts: Sequence[Outlines]) -> Outlines:
    return Outlines(
        tuple(sample for part in parts for sample in part.samples),
        tuple(overlap for part in parts for overlap in part.overlaps),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def match_boxes(detections: Detections, batch: Batch) -> Iterator[BoxMatches]:
    """The boxes of every prompt of a batch against its true ones."""
    scores = scores_of(detections.main.logits, detections.presence).cpu().numpy()  # (P, Q)
    found, truths = cxcywh_to_xyxy(detections.main.boxes), cxcywh_to_xyxy(batch.targets.boxes)
    for prompt, truth in enumerate(truths.split(batch.targets.num_boxes.tolist())):
        best = strongest(scores[prompt], _RULES.max_detections[-1])
        iou = box_iou(found[prompt, torch.from_numpy(best).to(found.device)], truth).cpu().numpy()  # (D, G)
        yield BoxMatches(batch.phrases[prompt], iou.astype(np.float64), scores[prompt, best])


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
    scores = scores_of(detections.main.logits, detections.presence)  # (P, Q)
    size = targets.masks.shape[-2:]
    truths = targets.masks.split(targets.num_boxes.tolist())
    for prompt, truth in enumerate(truths):
        above = scores[prompt] > threshold
        kept = detections.main.masks[prompt, above]
        if nms is not None:
            kept = kept[distinct_masks(kept > 0, scores[prompt, above], nms)]
        yield F.interpolate(kept[:, None], size=size, mode="bilinear")[:, 0] > 0, truth
