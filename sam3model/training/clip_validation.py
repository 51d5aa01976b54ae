"""Validation of clicks and tracker: IoU after each click, J through clips, on held-out objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from sam3model.data.clip_batch import ClipBatch, collate_clips
from sam3model.data.clip_sample import ClipSource
from sam3model.losses.tracker_loss import MultiStepMultiMasksAndIous
from sam3model.tracker.memory_bank import ObjectOutput
from sam3model.training.clip_passes import ClipPass, TrackedObjects, TrackingModel, steps_of, track
from sam3model.training.clip_prompts import PromptPlan, SimulatedUser
from sam3model.training.clip_settings import ClipValidation
from sam3model.training.panel import Example, save_panel
from sam3model.training.parallel import World
from sam3model.training.training_log import log_failure


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Scores of a batch: mean loss; IoUs of objects after each click and after a box; J of frames, by prompt kind.

    present: whether visibility was predicted correctly, for each object and frame.
    """

    loss: float
    clicks: tuple[tuple[float, ...], ...]
    boxes: tuple[float, ...]
    tracked: tuple[float, ...]
    from_click: tuple[float, ...]
    present: tuple[bool, ...]
    examples: tuple[Example, ...]


def validate_clips(
    network: TrackingModel,
    loss: MultiStepMultiMasksAndIous,
    source: ClipSource,
    settings: ClipValidation,
    *,
    size: int,
    precision: torch.dtype,
    world: World,
    panel: Path,
) -> dict[str, float]:
    """Metrics; empty in all processes but the first, which also writes the panel.

    `IoU@k`: mean IoU on the first frame after k clicks, each in the middle of the largest mistake. `IoU_box`: after an
    exact box. `J`: mean IoU on later frames from the true first mask, where an object that is absent and predicted to
    be counts as 1. `J_click`: the same from one click. `visible`: fraction of frames with the right visibility.
    """
    found = []
    starts = range(world.rank * settings.batch, settings.clips, world.size * settings.batch)
    for start in tqdm(starts, desc="validation", disable=None if world.first else True, leave=False):
        numbers = range(start, min(start + settings.batch, settings.clips))
        batch = collate_clips([(number, source(number)) for number in numbers]).to(world.device)
        found.append(_score(network, loss, batch, settings, SimulatedUser(size), precision))
    results = world.in_turn(found)
    if not results:
        return {}
    with log_failure("the validation panel was not saved"):
        examples = [example for one in results for example in one.examples]
        save_panel(examples[: settings.examples * settings.frames], panel, columns=min(settings.frames, 12))
    metrics = {"loss": float(np.mean([one.loss for one in results]))}
    for count in range(settings.corrections + 1):
        metrics[f"IoU@{count + 1}"] = _mean([value for one in results for value in one.clicks[count]])
    metrics["IoU_box"] = _mean([value for one in results for value in one.boxes])
    if settings.frames > 1:
        metrics["J"] = _mean([value for one in results for value in one.tracked])
        metrics["J_click"] = _mean([value for one in results for value in one.from_click])
        metrics["visible"] = _mean([float(value) for one in results for value in one.present])
    return metrics


@torch.no_grad()
def _score(
    network: TrackingModel,
    loss: MultiStepMultiMasksAndIous,
    batch: ClipBatch,
    settings: ClipValidation,
    user: SimulatedUser,
    precision: torch.dtype,
) -> ClipScores:
    def run(plan: PromptPlan, frames: int) -> tuple[TrackedObjects, ...]:
        clips = ClipPass(trunk[:, :frames], batch.clip_index, batch.masks[:frames], plan, user)
        return track(network, [clips], precision)[0]

    criterion = replace(loss, across_ranks=False)
    with torch.autocast(batch.frames.device.type, precision, precision is not torch.float32):
        trunk = network.trunk(batch.frames)
    count = batch.frames.shape[1]
    clicked = run(PromptPlan("click", (settings.corrections,)), 1)
    boxed = run(PromptPlan("box", (0,)), 1)
    still = [ious(output, batch.masks[0], batch.annotated[0]) for output in clicked[0].outputs]
    value = criterion(steps_of(clicked), batch.masks[:1], batch.annotated[:1]).total.item()
    boxes = ious(boxed[0].outputs[-1], batch.masks[0], batch.annotated[0])
    if count == 1:
        return ClipScores(value, tuple(still), boxes, (), (), (), tuple(_examples(clicked, batch)))
    none = (0,) * count
    tracked, from_click = run(PromptPlan("mask", none), count), run(PromptPlan("click", none), count)
    value = criterion(steps_of(tracked), batch.masks, batch.annotated).total.item()
    return ClipScores(
        value, tuple(still), boxes, _through(tracked, batch), _through(from_click, batch), _presence(tracked, batch),
        tuple(_examples(tracked, batch)),
    )  # fmt: skip


def ious(output: ObjectOutput, truth: Tensor, annotated: Tensor) -> tuple[float, ...]:
    """IoU of the annotated of N objects with the truth (N, H, W); 1 if both are empty."""
    masks = shown(output, (truth.shape[-2], truth.shape[-1]))
    both, either = (masks & truth).flatten(1).sum(1), (masks | truth).flatten(1).sum(1)
    values = torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both, dtype=torch.float32))
    return tuple(values[annotated].tolist())


def shown(output: ObjectOutput, size: tuple[int, int]) -> Tensor:
    """Masks (N, H, W) bool of an output."""
    return F.interpolate(output.masks, size, mode="bilinear", align_corners=False)[:, 0] > 0


def _through(tracked: Sequence[TrackedObjects], batch: ClipBatch) -> tuple[float, ...]:
    """IoUs on all frames but the first."""
    pairs = zip(tracked[1:], batch.masks[1:], batch.annotated[1:], strict=True)
    return tuple(value for one, truth, known in pairs for value in ious(one.outputs[-1], truth, known))


def _presence(tracked: Sequence[TrackedObjects], batch: ClipBatch) -> tuple[bool, ...]:
    pairs = zip(tracked[1:], batch.masks[1:], batch.annotated[1:], strict=True)
    right = [
        ((one.outputs[-1].scores[:, 0] > 0) == truth.flatten(1).any(1))[known].tolist() for one, truth, known in pairs
    ]
    return tuple(value for frame in right for value in frame)


def _examples(tracked: Sequence[TrackedObjects], batch: ClipBatch) -> list[Example]:
    """The frames of the first clip, with its true and its tracked masks."""
    own = batch.clip_index == 0
    examples = []
    for frame, one in enumerate(tracked):
        image = ((batch.frames[0, frame].float() + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
        truth = batch.masks[frame, own]
        predicted = shown(one.outputs[-1], (truth.shape[-2], truth.shape[-1]))[own]
        examples.append(Example(image.cpu().numpy(), f"frame {frame}", predicted.cpu().numpy(), truth.cpu().numpy()))
    return examples


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
