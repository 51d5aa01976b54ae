"""Objects of clips through the tracker in training: prompts, memory and corrections, frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.build import Sam3Model
from sam3model.errors import ConfigError
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt
from sam3model.interactive.mask_decoder import DecodedMasks
from sam3model.losses.tracker_loss import TrackerStep
from sam3model.structures import map_tensors
from sam3model.tracker.group import PROMPT_CLAMP
from sam3model.tracker.memory_bank import FrameMemory, MemoryBank, ObjectOutput
from sam3model.tracker.memory_plan import plan_memory, uses_candidates
from sam3model.tracker.tracker_model import Tracker, upsample_mask
from sam3model.training.clip_prompts import PromptPlan, SimulatedUser, joined


@dataclass(frozen=True, slots=True)
class TrackedObjects:
    """What happened on one frame: what each interaction predicted, and the mask chosen after it.

    steps are empty where a mask was given. outputs carry no gradient: DDP wants a loss on all that has one.
    """

    steps: tuple[TrackerStep, ...]
    outputs: tuple[ObjectOutput, ...]


@dataclass(frozen=True, slots=True)
class ClipPass:
    """B clips with N objects to follow.

    frames: clips (B, T, 3, S, S), or their trunk features (B, T, C, h, w). clip_index: (N,) the clip of each object.
    masks: (T, N, H, W) bool, the truth, which prompts and corrections are made from. plan: prompts and corrections.
    user: who makes them.
    """

    frames: Tensor
    clip_index: Tensor
    masks: Tensor
    plan: PromptPlan
    user: SimulatedUser


class TrackingModel(nn.Module):
    """A model that follows objects through clips; all objects of a batch of clips are one batch."""

    def __init__(self, model: Sam3Model) -> None:
        super().__init__()
        if model.interactive is None or model.tracker is None:
            raise ConfigError("a model without interactive heads and tracker cannot follow objects")
        self.model = model

    @property
    def heads(self) -> InteractiveHeads:
        """The mask heads."""
        heads = self.model.interactive
        if heads is None:
            raise ConfigError("the model has no interactive heads")
        return heads

    @property
    def tracker(self) -> Tracker:
        """The tracker."""
        tracker = self.model.tracker
        if tracker is None:
            raise ConfigError("the model has no tracker")
        return tracker

    def trunk(self, frames: Tensor) -> Tensor:
        """Frames (B, T, 3, S, S) -> trunk features (B, T, C, h, w)."""
        return self.model.detector.vision.trunk(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def forward(self, *passes: ClipPass | Tensor) -> tuple[tuple[TrackedObjects, ...] | Tensor, ...]:
        """Follow the objects of each pass through its T frames, or compute the trunk features of frames.

        All calls of the model in training are calls of this: DDP and FSDP act when it begins and ends.
        """
        return tuple(self.trunk(one) if isinstance(one, Tensor) else self._follow(one) for one in passes)

    def _follow(self, clips: ClipPass) -> tuple[TrackedObjects, ...]:
        masks, plan, user = clips.masks, clips.plan, clips.user
        trunk = self.trunk(clips.frames) if clips.frames.shape[2] == 3 else clips.frames
        levels = self.model.detector.vision.neck(trunk.flatten(0, 1), "interactive", self.heads.projections)
        count = trunk.shape[1]
        bank, tracked = MemoryBank(), []
        for frame in range(count):
            own = tuple(level.unflatten(0, (-1, count))[clips.clip_index, frame] for level in levels)
            features = self.heads.features(own, projected=True)
            tracked.append(self._frame(frame, features, masks[frame], plan, user, bank))
            if frame + 1 < count:
                self._remember(frame, features, tracked[-1], plan, bank)
        return tuple(replace(one, outputs=map_tensors(one.outputs, torch.Tensor.detach)) for one in tracked)

    def _frame(
        self, frame: int, features: ObjectFeatures, truth: Tensor, plan: PromptPlan, user: SimulatedUser,
        bank: MemoryBank,
    ) -> TrackedObjects:  # fmt: skip
        heads, tracker = self.heads, self.tracker
        if frame == 0 and plan.kind == "mask":
            given = upsample_mask(truth[:, None].float(), (tracker.mask_side, tracker.mask_side))
            return TrackedObjects((), (tracker.accept_mask(heads, features, given),))
        if frame == 0:
            embedding, prompt = heads.without_memory(features.embedding), user.prompt(plan.kind, truth)
            points = prompt.points.shape[1]
        else:
            embedding = self._read(frame, features, bank)
            prompt, points = ObjectPrompt.blank(len(truth), truth.device), 0
        steps, outputs = [], []
        for correction in range(plan.corrections[frame] + 1):
            if correction:
                masks = outputs[-1].masks.detach()
                shown = upsample_mask(masks, (truth.shape[-2], truth.shape[-1]))[:, 0] > 0
                click = user.correct(shown, truth, 100 * frame + correction)
                given = masks.clamp(-PROMPT_CLAMP, PROMPT_CLAMP)
                prompt = joined(prompt, click, given) if points else replace(click, mask=given)
                points = prompt.points.shape[1]
            candidates = uses_candidates(points, first_prompt=frame == 0)
            decoded = heads.decode(embedding, features, prompt)
            outputs.append(tracker.choose(heads, decoded, candidates))
            steps.append(_step(decoded, candidates, (truth.shape[-2], truth.shape[-1])))
        return TrackedObjects(tuple(steps), tuple(outputs))

    def _read(self, frame: int, features: ObjectFeatures, bank: MemoryBank) -> Tensor:
        """Embeddings (N, D, g, g) of a frame, conditioned on the nearest frames before it."""
        config = replace(self.tracker.config, memory_selection=False)
        plan = plan_memory(frame, tuple(bank.conditioning), bank.seen(), config)
        maps = [(memory, row) for one, row in plan.maps if (memory := _of(bank, one).memory) is not None]
        pointers = [(_of(bank, one).output.pointers, offset) for one, offset in plan.pointers]
        return self.tracker.read_memory(features.embedding, self.tracker.join_memory(maps, pointers, plan.pointer_span))

    def _remember(
        self, frame: int, features: ObjectFeatures, tracked: TrackedObjects, plan: PromptPlan, bank: MemoryBank
    ) -> None:
        output = tracked.outputs[-1]
        large = upsample_mask(output.masks, self.tracker.image_shape)
        prompted = frame == 0 or plan.corrections[frame] > 0
        binary = prompted and not self.training  # soft masks let gradients through
        memory = self.tracker.write_memory(features.embedding, large, output.scores, binary=binary)
        if prompted:
            bank.condition(frame, FrameMemory(output, memory))
        else:
            bank.others[frame] = FrameMemory(output, memory, 1.0)


def _of(bank: MemoryBank, frame: int) -> FrameMemory:
    found = bank.get(frame)
    if found is None:
        raise ConfigError(f"frame {frame} has no memory")
    return found


def _step(decoded: DecodedMasks, candidates: bool, size: tuple[int, int]) -> TrackerStep:
    """What is trained: the three candidates or the single mask, before masks of absent objects are emptied."""
    rows = slice(1, None) if candidates else slice(0, 1)
    masks = F.interpolate(decoded.masks[:, rows].float(), size, mode="bilinear", align_corners=False)
    return TrackerStep(masks, decoded.ious[:, rows], decoded.object_scores[:, 0])


def track(
    network: nn.Module, passes: Sequence[ClipPass], precision: torch.dtype
) -> tuple[tuple[TrackedObjects, ...], ...]:
    """`TrackingModel.forward` under autocast to `precision`; its outputs in float32."""
    with torch.autocast(passes[0].frames.device.type, dtype=precision, enabled=precision is not torch.float32):
        tracked = network(*passes)
    return map_tensors(tracked, lambda part: part.float() if part.is_floating_point() else part)


def steps_of(tracked: Sequence[TrackedObjects]) -> list[tuple[TrackerStep, ...]]:
    """The steps of every frame, for the loss."""
    return [frame.steps for frame in tracked]
