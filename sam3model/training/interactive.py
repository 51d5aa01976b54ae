"""A simulated user: what a model got wrong becomes the boxes and points that it is asked with next.

The paper's third stage of training asks every prompt again several times (arXiv 2511.16719: five rounds): a thing that
was missed is pointed at as "this too", a detection of something else as "not this".
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional as F

from sam3model.data.queries import Batch
from sam3model.detector.scoring import scores_of
from sam3model.ops.boxes import box_iou, cxcywh_to_xyxy, xyxy_to_cxcywh
from sam3model.ops.masks import mask_iou
from sam3model.structures import Correction, Detections, GeometryPrompt
from sam3model.targets import Targets
from sam3model.training.config import InteractiveConfig, TrainConfig

LOOKED_AT = 32
"""Detections of a prompt that the user looks at, the surest ones: more would only cost time and memory."""
GRID = 64
"""Rows and columns of the map on which boxes are compared where no outline is known."""
MOVED = 0.05
"""By so much of its sides a box is moved in training, as exemplars are, so that it is no answer to be copied."""


@dataclass(frozen=True, slots=True)
class Element:
    """A box (cx, cy, w, h) or a point (x, y), normalised, that says "this" or "not this"."""

    place: tuple[float, ...]
    positive: bool


@dataclass(frozen=True, slots=True)
class Things:
    """Things of one picture: boxes (n, 4) normalised xyxy and masks (n, H, W) bool, filled boxes if not `outlined`.

    outlined (n,) bool: the mask is the thing's own.
    """

    boxes: Tensor
    masks: Tensor
    outlined: Tensor


@dataclass(frozen=True, slots=True)
class Mistakes:
    """What is wrong with an answer: boxes (n, 4) xyxy of the things, the first `missed` of them true ones.

    regions (n, H, W) bool: of a missed thing what no detection covers, of a wrong detection what lies on no true thing.
    """

    boxes: Tensor
    regions: Tensor
    missed: int

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True)
class Annotator:
    """The user. careful: corrects the largest mistake, at its innermost point or with the very box; else any, anywhere.

    What it does is fixed by seed, step, picture and round alone: it is the same in a resumed run, however a batch is
    cut into chunks or shared among processes, and it leaves the run's own random numbers alone.
    """

    config: InteractiveConfig
    seed: int = 0
    careful: bool = False

    def corrections(self, batch: Batch, step: int = 0) -> tuple[Correction, ...]:
        """One for each round of this step, the same number in every process; none if rounds are not its turn."""
        config, key = self.config, (self.seed % 2**63, step)
        if not config.rounds or np.random.default_rng(key).random() >= config.share:
            return ()
        return tuple(partial(self._correct, batch, (*key, number)) for number in range(config.rounds))

    def _correct(
        self, batch: Batch, key: tuple[int, ...], found: Detections, prompt: GeometryPrompt | None
    ) -> GeometryPrompt:
        names = [zlib.crc32(batch.names[picture].encode()) for picture in batch.image_index.tolist()]
        asked = [names[:place].count(name) for place, name in enumerate(names)]  # which of its picture's prompts it is
        rngs = [np.random.default_rng((*key, *place)) for place in zip(names, asked, strict=True)]
        with torch.no_grad(), torch.autocast(found.presence.device.type, enabled=False):
            wrong = find_mistakes(found, batch.targets, self.config)
            elements = [self.element(mistakes, rng) for mistakes, rng in zip(wrong, rngs, strict=True)]
        return extended(prompt, elements, found.presence.device)

    def element(self, mistakes: Mistakes, rng: np.random.Generator) -> Element | None:
        """The correction of one of the mistakes; None if there is none."""
        if not len(mistakes):
            return None
        sizes = mistakes.regions.flatten(1).sum(1)
        chosen = int(sizes.argmax()) if self.careful else int(rng.integers(len(sizes)))
        positive, box = chosen < mistakes.missed, mistakes.boxes[chosen]
        if rng.random() < self.config.boxes:
            place = xyxy_to_cxcywh(box).cpu().numpy()
            if not self.careful:
                place = place + rng.uniform(-MOVED, MOVED, 4) * np.tile(place[2:], 2)
        else:
            region = mistakes.regions[chosen].cpu().numpy()
            place = innermost(region) if self.careful else anywhere(region, rng)
            if positive:  # a coarse cell's centre may lie beside a small thing
                low, high = box.cpu().numpy().reshape(2, 2)
                place = np.clip(place, low, high)
        return Element(tuple(place.tolist()), positive)


def judging(config: TrainConfig) -> Annotator:
    """The user that validation asks: careful, the same for every run, and of all that validation counts as found."""
    settings = config.validation
    return Annotator(
        replace(config.interactive, rounds=settings.rounds, share=1.0, threshold=settings.threshold), careful=True
    )


def find_mistakes(found: Detections, targets: Targets, config: InteractiveConfig) -> Iterator[Mistakes]:
    """The mistakes in the answer to each prompt.

    A true thing is missed if no detection above `config.threshold` overlaps it by `config.iou`, masks compared where
    there are some and boxes elsewhere. A detection is wrong if more than half of it lies on no true thing; where not
    everything is annotated, none is known to be.
    """
    seen = targets.has_area() & (targets.object_ids >= 0)
    counts, exhaustive = targets.num_boxes.tolist(), targets.is_exhaustive.tolist()
    pairs = zip(_answers(found, targets, config.threshold), _truths(targets), strict=True)
    for prompt, ((answer, truth), counted) in enumerate(zip(pairs, seen.split(counts), strict=True)):
        missed = counted & truth.masks.flatten(1).any(1) & (overlap(answer, truth) < config.iou).all(0)
        lost, covered = truth.masks[missed], answer.masks.any(0)
        left = lost & ~covered
        regions = torch.where(left.flatten(1).any(1)[:, None, None], left, lost)
        stray = answer.masks & ~truth.masks.any(0)
        wrong = stray.flatten(1).sum(1) * 2 > answer.masks.flatten(1).sum(1)
        wrong = wrong & exhaustive[prompt]
        yield Mistakes(
            torch.cat((truth.boxes[missed], answer.boxes[wrong])), torch.cat((regions, stray[wrong])), len(lost)
        )


def overlap(answer: Things, truth: Things) -> Tensor:
    """IoU (n, m) of masks where both are outlines, of boxes otherwise."""
    of_masks, of_boxes = mask_iou(answer.masks, truth.masks), box_iou(answer.boxes, truth.boxes)
    return torch.where(answer.outlined[:, None] & truth.outlined, of_masks, of_boxes)


def filled(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (n, H, W) bool of normalised xyxy boxes (n, 4): every cell of `size` (H, W) that a box touches."""
    height, width = size
    scale = boxes.new_tensor([width, height])
    low, high = (boxes[:, :2] * scale).floor(), (boxes[:, 2:] * scale).ceil()
    columns, rows = torch.arange(width, device=boxes.device), torch.arange(height, device=boxes.device)
    across = (columns >= low[:, :1]) & (columns < high[:, :1])  # (n, W)
    down = (rows >= low[:, 1:]) & (rows < high[:, 1:])  # (n, H)
    return down[:, :, None] & across[:, None, :]


def innermost(region: np.ndarray) -> np.ndarray:
    """The point (x, y), normalised, of a region (H, W) bool that is furthest from its border."""
    depth = np.asarray(distance_transform_edt(np.pad(region, 1)))[1:-1, 1:-1]  # outside the picture is outside
    return _centre(int(depth.argmax()), region.shape)


def anywhere(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A point (x, y), normalised, of a region (H, W) bool, all equally likely."""
    return _centre(int(rng.choice(np.flatnonzero(region))), region.shape)


def _centre(cell: int, shape: tuple[int, ...]) -> np.ndarray:
    row, column = divmod(cell, shape[1])
    return np.array([(column + 0.5) / shape[1], (row + 0.5) / shape[0]])


def extended(
    prompt: GeometryPrompt | None, elements: Sequence[Element | None], device: torch.device | str
) -> GeometryPrompt:
    """The prompt with one more box and one more point, padding where a prompt has no such new element.

    Shapes then depend on the round alone, and every process runs the same parts of the model.
    """
    new = GeometryPrompt.blank(len(elements), boxes=1, points=1)
    boxes, points = (new.boxes, new.box_labels, new.box_mask), (new.points, new.point_labels, new.point_mask)
    for row, element in enumerate(elements):
        if element is None:
            continue
        places, labels, padding = boxes if len(element.place) == 4 else points
        places[row, 0] = torch.tensor(element.place)
        labels[row, 0], padding[row, 0] = int(element.positive), False
    new = new.to(device)
    if prompt is None:
        return new
    names = ("boxes", "box_labels", "box_mask", "points", "point_labels", "point_mask")
    return replace(prompt, **{name: torch.cat((getattr(prompt, name), getattr(new, name)), dim=1) for name in names})


def _truths(targets: Targets) -> Iterator[Things]:
    counts, boxes = targets.num_boxes.tolist(), cxcywh_to_xyxy(targets.boxes).clamp(0, 1)
    known = torch.zeros_like(targets.object_ids, dtype=torch.bool)
    masks = filled(boxes, _size(targets))
    if targets.masks is not None:
        known = ~known if targets.is_valid_mask is None else targets.is_valid_mask
        masks = torch.where(known[:, None, None], targets.masks, masks)
    yield from map(Things, boxes.split(counts), masks.split(counts), known.split(counts))


def _answers(found: Detections, targets: Targets, threshold: float) -> Iterator[Things]:
    """What was found for each prompt, the surest first, with masks of the size of the true ones."""
    main, size = found.main, _size(targets)
    scores, order = scores_of(main.logits, found.presence).sort(descending=True)
    numbers = (scores[:, :LOOKED_AT] > threshold).sum(1).tolist()
    rows = range(targets.prompts) if main.mask_rows is None else main.mask_rows.tolist()
    row_of = {} if main.masks is None else {prompt: row for row, prompt in enumerate(rows)}
    boxes = cxcywh_to_xyxy(main.boxes.float()).clamp(0, 1)
    for prompt, number in enumerate(numbers):
        queries = order[prompt, :number]
        mine = boxes[prompt, queries]
        outlined = torch.full_like(queries, prompt in row_of, dtype=torch.bool)
        if number and main.masks is not None and prompt in row_of:
            logits = main.masks[row_of[prompt], queries].float()
            masks = F.interpolate(logits[:, None], size, mode="bilinear")[:, 0] > 0
        else:
            masks = filled(mine, size)
        yield Things(mine, masks, outlined)


def _size(targets: Targets) -> tuple[int, int]:
    return (GRID, GRID) if targets.masks is None else (targets.masks.shape[-2], targets.masks.shape[-1])
