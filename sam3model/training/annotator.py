"""A simulated annotator: it corrects the mistakes of a model with boxes and points, for the next pass.

The third training stage of the paper runs every prompt several times (arXiv 2511.16719: five rounds). An instance that
was missed gets a positive box or point, a wrong detection a negative one.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.detector.scoring import scores_of
from sam3model.ops.boxes import BOX_JITTER, box_iou, cxcywh_to_xyxy, jitter_box, xyxy_to_cxcywh
from sam3model.ops.masks import deepest_pixel, mask_iou
from sam3model.structures import Detections, GeometryPrompt
from sam3model.targets import Targets
from sam3model.training.passes import Correction
from sam3model.training.settings import CorrectionConfig, TrainConfig

MAX_DETECTIONS = 32
"""Highest-scoring detections of a prompt that are checked for mistakes, to save time and memory."""
GRID = 64
"""Side of the masks that stand for boxes where the targets have no masks."""


@dataclass(frozen=True, slots=True)
class CorrectionPrompt:
    """A positive or negative box (cx, cy, w, h) or point (x, y), normalised."""

    place: tuple[float, ...]
    positive: bool


@dataclass(frozen=True, slots=True)
class Regions:
    """Instances in one image: boxes (n, 4) normalised xyxy and masks (n, H, W) bool.

    has_mask (n,) bool: False where the mask is unknown and `masks` has the filled box instead.
    """

    boxes: Tensor
    masks: Tensor
    has_mask: Tensor


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Mistakes in the detections of a prompt: first the `missed` true instances, then the wrong detections.

    boxes (n, 4) normalised xyxy. regions (n, H, W) bool: the part of a missed instance that no detection covers, the
    part of a wrong detection that lies on no true instance.
    """

    boxes: Tensor
    regions: Tensor
    missed: int

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Annotator:
    """Corrects one mistake of every prompt per round.

    careful: take the largest mistake, and its exact box or its innermost point. Otherwise take a random mistake, and a
    jittered box or a random point. Random choices depend on seed, step, image and round only: they are the same in a
    resumed run and for any split into chunks or processes, and they do not touch torch's generator.
    """

    config: CorrectionConfig
    seed: int = 0
    careful: bool = False

    def corrections(self, batch: Batch, step: int = 0) -> tuple[Correction, ...]:
        """The corrections of a step, one per round, as many in every process; none in steps without rounds."""
        config, key = self.config, (self.seed % 2**63, step)
        if not config.rounds or np.random.default_rng(key).random() >= config.fraction:
            return ()
        return tuple(partial(self._correct, batch, (*key, number)) for number in range(config.rounds))

    def _correct(
        self, batch: Batch, key: tuple[int, ...], detections: Detections, prompt: GeometryPrompt | None
    ) -> GeometryPrompt:
        names = [
            zlib.crc32(batch.names[image].encode("utf-8", "surrogatepass")) for image in batch.image_index.tolist()
        ]
        numbers = [names[:index].count(name) for index, name in enumerate(names)]  # of a prompt within its image
        rngs = [np.random.default_rng((*key, *place)) for place in zip(names, numbers, strict=True)]
        device = detections.presence.device
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            found = find_mistakes(detections, batch.targets, self.config)
            added = [self.correction(mistakes, rng) for mistakes, rng in zip(found, rngs, strict=True)]
        return extend_prompt(prompt, added, device)

    def correction(self, mistakes: Mistakes, rng: np.random.Generator) -> CorrectionPrompt | None:
        """The correction of one of the mistakes; None without mistakes."""
        if not len(mistakes):
            return None
        sizes = mistakes.regions.flatten(1).sum(1)
        chosen = int(sizes.argmax()) if self.careful else int(rng.integers(len(sizes)))
        positive, box = chosen < mistakes.missed, mistakes.boxes[chosen]
        if rng.random() < self.config.boxes:
            place = xyxy_to_cxcywh(box).cpu().numpy()
            if not self.careful:
                place = jitter_box(place, rng.uniform(-BOX_JITTER, BOX_JITTER, 4))
        else:
            region = mistakes.regions[chosen].cpu().numpy()
            place = innermost_point(region) if self.careful else random_point(region, rng)
            if positive:  # the centre of a coarse cell may lie beside a small instance
                low, high = box.cpu().numpy().reshape(2, 2)
                place = np.clip(place, low, high)
        return CorrectionPrompt(tuple(place.tolist()), positive)


def validation_annotator(config: TrainConfig) -> Annotator:
    """The annotator of validation: careful, the same in every run, with the score threshold of validation."""
    settings = config.validation
    return Annotator(
        replace(config.interactive, rounds=settings.rounds, fraction=1.0, threshold=settings.threshold), careful=True
    )


def find_mistakes(detections: Detections, targets: Targets, config: CorrectionConfig) -> Iterator[Mistakes]:
    """The mistakes in the detections of each prompt.

    A true instance is missed if no detection with a score above `config.threshold` has an IoU of `config.iou` with it.
    A detection is wrong if more than half of it lies on no true instance; prompts that are not annotated exhaustively
    have no wrong detections.
    """
    visible = targets.has_area() & (targets.object_ids >= 0)
    counts, exhaustive = targets.num_boxes.tolist(), targets.is_exhaustive.tolist()
    pairs = zip(_predicted(detections, targets, config.threshold), _true(targets), strict=True)
    for prompt, ((predicted, truth), counted) in enumerate(zip(pairs, visible.split(counts), strict=True)):
        missed = counted & truth.masks.flatten(1).any(1) & (overlap(predicted, truth) < config.iou).all(0)
        missed_masks, covered = truth.masks[missed], predicted.masks.any(0)
        uncovered = missed_masks & ~covered
        regions = torch.where(uncovered.flatten(1).any(1)[:, None, None], uncovered, missed_masks)
        stray = predicted.masks & ~truth.masks.any(0)
        wrong = stray.flatten(1).sum(1) * 2 > predicted.masks.flatten(1).sum(1)
        wrong = wrong & exhaustive[prompt]
        boxes = torch.cat((truth.boxes[missed], predicted.boxes[wrong]))
        yield Mistakes(boxes, torch.cat((regions, stray[wrong])), len(missed_masks))


def overlap(predicted: Regions, truth: Regions) -> Tensor:
    """IoU (n, m) of masks where both have one, of boxes otherwise."""
    of_masks, of_boxes = mask_iou(predicted.masks, truth.masks), box_iou(predicted.boxes, truth.boxes)
    return torch.where(predicted.has_mask[:, None] & truth.has_mask, of_masks, of_boxes)


def fill_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (n, H, W) bool of normalised xyxy boxes (n, 4), with every cell of `size` (H, W) that a box touches."""
    height, width = size
    scale = boxes.new_tensor([width, height])
    low, high = (boxes[:, :2] * scale).floor(), (boxes[:, 2:] * scale).ceil()
    columns, rows = torch.arange(width, device=boxes.device), torch.arange(height, device=boxes.device)
    across = (columns >= low[:, :1]) & (columns < high[:, :1])  # (n, W)
    down = (rows >= low[:, 1:]) & (rows < high[:, 1:])  # (n, H)
    return down[:, :, None] & across[:, None, :]


def innermost_point(region: np.ndarray) -> np.ndarray:
    """The point (x, y), normalised, of a region (H, W) bool that is furthest from its border."""
    x, y, _ = deepest_pixel(region)
    return _centre(y * region.shape[1] + x, region.shape)


def random_point(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A point (x, y), normalised, drawn uniformly from a region (H, W) bool."""
    return _centre(int(rng.choice(np.flatnonzero(region))), region.shape)


def _centre(cell: int, shape: tuple[int, ...]) -> np.ndarray:
    row, column = divmod(cell, shape[1])
    return np.array([(column + 0.5) / shape[1], (row + 0.5) / shape[0]])


def extend_prompt(
    prompt: GeometryPrompt | None, added: Sequence[CorrectionPrompt | None], device: torch.device | str
) -> GeometryPrompt:
    """The prompt with one more box and one more point per row, of which at most one is not padding.

    So shapes depend on the round only, and all processes run the same modules.
    """
    new = GeometryPrompt.blank(len(added), boxes=1, points=1)
    boxes, points = (new.boxes, new.box_labels, new.box_mask), (new.points, new.point_labels, new.point_mask)
    for row, one in enumerate(added):
        if one is None:
            continue
        places, labels, padding = boxes if len(one.place) == 4 else points
        places[row, 0] = torch.tensor(one.place)
        labels[row, 0], padding[row, 0] = int(one.positive), False
    new = new.to(device)
    if prompt is None:
        return new
    names = ("boxes", "box_labels", "box_mask", "points", "point_labels", "point_mask")
    return replace(prompt, **{name: torch.cat((getattr(prompt, name), getattr(new, name)), dim=1) for name in names})


def _true(targets: Targets) -> Iterator[Regions]:
    """The true instances of each prompt."""
    counts, boxes = targets.num_boxes.tolist(), cxcywh_to_xyxy(targets.boxes).clamp(0, 1)
    known = torch.zeros_like(targets.object_ids, dtype=torch.bool)
    masks = fill_boxes(boxes, _size(targets))
    if targets.masks is not None:
        known = ~known if targets.is_valid_mask is None else targets.is_valid_mask
        masks = torch.where(known[:, None, None], targets.masks, masks)
    yield from map(Regions, boxes.split(counts), masks.split(counts), known.split(counts))


def _predicted(detections: Detections, targets: Targets, threshold: float) -> Iterator[Regions]:
    """The detections of each prompt by falling score, with masks of the size of the true masks."""
    main, size = detections.main, _size(targets)
    scores, order = scores_of(main.logits, detections.presence).sort(descending=True)
    numbers = (scores[:, :MAX_DETECTIONS] > threshold).sum(1).tolist()
    rows = range(targets.prompts) if main.mask_rows is None else main.mask_rows.tolist()
    row_of = {} if main.masks is None else {prompt: row for row, prompt in enumerate(rows)}
    boxes = cxcywh_to_xyxy(main.boxes.float()).clamp(0, 1)
    for prompt, number in enumerate(numbers):
        queries = order[prompt, :number]
        own_boxes = boxes[prompt, queries]
        has_mask = torch.full_like(queries, prompt in row_of, dtype=torch.bool)
        if number and main.masks is not None and prompt in row_of:
            logits = main.masks[row_of[prompt], queries].float()
            masks = F.interpolate(logits[:, None], size, mode="bilinear")[:, 0] > 0
        else:
            masks = fill_boxes(own_boxes, size)
        yield Regions(own_boxes, masks, has_mask)


def _size(targets: Targets) -> tuple[int, int]:
    return (GRID, GRID) if targets.masks is None else (targets.masks.shape[-2], targets.masks.shape[-1])
