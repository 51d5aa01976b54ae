"""Training follows objects exactly as the tracker does: the same masks from the same features and prompts."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sam3model.build import Sam3Model, build
from sam3model.data.clip_batch import ClipBatch
from sam3model.interactive.heads import ObjectFeatures, ObjectPrompt
from sam3model.interactive.prompt_encoder import PADDING
from sam3model.parse import merge
from sam3model.tracker.group import Clicks, ObjectGroup, TrackerParts
from sam3model.tracker.memory_bank import ObjectOutput, concatenate
from sam3model.tracker.propagation import track_frame, write_tracked
from sam3model.tracker.tracker_model import upsample_mask
from sam3model.training.clip_passes import ClipPass, TrackedObjects, TrackingModel
from sam3model.training.clip_prompts import PromptKind, PromptPlan, SimulatedUser
from sam3model.training.clip_settings import TRACKED_PARTS, ClipModelConfig
from tests.training.tiny_clips import SIDE, TRACKED, batch_of

FRAMES = 7
"""More than the memory and the pointers of the small tracker reach back."""
USER = SimulatedUser(SIDE)


def model_of(visible: float = 0.08, **detector: object) -> Sam3Model:
    """A model with large random weights in evaluation mode: what it reads changes its masks a lot.

    visible: added to the object scores. By default, objects come and go.
    """
    torch.manual_seed(22)
    sizes = ClipModelConfig(overrides=merge(TRACKED, {"detector": detector})).resolve()
    sizes = replace(sizes, tracker=replace(sizes.tracker, memory_selection=False))
    model = build(sizes, parts=TRACKED_PARTS).eval()
    with torch.no_grad():
        for parameter in (*model.interactive.parameters(), *model.tracker.parameters()):
            parameter.mul_(2 if parameter.ndim > 1 else 1)
        model.interactive.mask_decoder.pred_obj_score_head.layers[-1].bias.add_(visible)
    return model


def trained(model: Sam3Model, batch: ClipBatch, plan: PromptPlan) -> tuple[TrackedObjects, ...]:
    """What training predicts."""
    return TrackingModel(model).eval()(ClipPass(batch.frames, batch.clip_index, batch.masks, plan, USER))[0]


def features_of(model: Sam3Model, frame: Tensor) -> ObjectFeatures:
    """Features of one frame as the video pipeline computes them."""
    vision, heads = model.detector.vision, model.interactive
    encoded = model.detector.encode_image(frame[None], keep_trunk=True)
    return heads.features(vision.pyramid(encoded, "interactive", heads.projections), projected=True)


class InferenceTracker:
    """Objects of one clip through the tracker, each in a group of its own, with the clicks of the simulated user."""

    def __init__(self, model: Sam3Model, batch: ClipBatch, count: int | None = None) -> None:
        self.model, self.batch = model, batch
        self.parts = TrackerParts(model.interactive, model.tracker)
        self.groups = [ObjectGroup(self.parts, (SIDE, SIDE), count) for _ in batch.clip_index]

    def run(self, plan: PromptPlan) -> list[list[ObjectOutput]]:
        """For each frame, the output after each interaction, objects as one batch."""
        found = []
        for frame in range(len(plan.corrections)):
            features = features_of(self.model, self.batch.frames[0, frame])
            outputs = []
            if frame == 0:
                outputs.append(self._prompt(plan.kind, features))
            else:
                track_frame(self.parts, self.groups, frame, features)
                outputs.append(concatenate([group.bank.others[frame].output for group in self.groups]))
            for correction in range(1, plan.corrections[frame] + 1):
                outputs.append(self._correct(frame, outputs[-1], 100 * frame + correction, features))
            if frame == 0 or plan.corrections[frame]:
                for group in self.groups:
                    group.remember_prompts(frame, features)
            write_tracked(self.parts, self.groups, frame, features)
            found.append(outputs)
        return found

    def _prompt(self, kind: PromptKind, features: ObjectFeatures) -> ObjectOutput:
        truth = self.batch.masks[0]
        if kind == "mask":
            rows = [group.add_masks(0, (0,), truth[k : k + 1], features) for k, group in enumerate(self.groups)]
            return concatenate(rows)
        return self._click(0, USER.prompt(kind, truth), features)

    def _correct(self, frame: int, before: ObjectOutput, visit: int, features: ObjectFeatures) -> ObjectOutput:
        shown = upsample_mask(before.masks, (SIDE, SIDE))[:, 0] > 0
        return self._click(frame, USER.correct(shown, self.batch.masks[frame], visit), features)

    def _click(self, frame: int, prompt: ObjectPrompt, features: ObjectFeatures) -> ObjectOutput:
        assert (prompt.labels != PADDING).all(), "the tracker has no clicks on nothing"
        rows = [
            group.add_points(
                frame, 0, Clicks(prompt.points[k], prompt.labels[k]), features, keep_old=True, use_memory=frame > 0
            )
            for k, group in enumerate(self.groups)
        ]
        return concatenate(rows)


def assert_same(mine: TrackedObjects, theirs: Sequence[ObjectOutput]) -> None:
    assert len(mine.outputs) == len(theirs)
    for ours, other in zip(mine.outputs, theirs, strict=True):
        for name in ("masks", "ious", "pointers", "scores"):
            torch.testing.assert_close(getattr(ours, name), getattr(other, name), atol=1e-4, rtol=0, msg=name)


@torch.no_grad()
@pytest.mark.parametrize("count", [None, FRAMES])
def test_masks_from_a_given_mask_are_those_of_a_group_of_the_tracker(count):
    model, batch = model_of(), batch_of(1, frames=FRAMES, objects=2, stride=1)
    mine = trained(model, batch, PromptPlan("mask", (0,) * FRAMES))
    parts = TrackerParts(model.interactive, model.tracker)
    group = ObjectGroup(parts, (SIDE, SIDE), count)
    group.add_masks(0, (0, 1), batch.masks[0], features := features_of(model, batch.frames[0, 0]))
    group.remember_prompts(0, features)
    for frame in range(1, FRAMES):
        features = features_of(model, batch.frames[0, frame])
        track_frame(parts, [group], frame, features)
        write_tracked(parts, [group], frame, features)
        assert_same(mine[frame], [group.bank.others[frame].output])


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "first", "later"),
    [
        ("mask", 0, 0), ("click", 0, 0), ("box", 0, 0), ("click", 2, 0), ("box", 1, 0),
        ("mask", 0, 1), ("click", 0, 2),
    ],
)  # fmt: skip
def test_masks_from_prompts_and_corrections_are_those_of_the_tracker(kind, first, later):
    model, batch = model_of(), batch_of(1, frames=FRAMES, objects=2, stride=1)
    plan = PromptPlan(kind, (first, 0, 0, later, 0, 0, 0))
    for mine, theirs in zip(trained(model, batch, plan), InferenceTracker(model, batch).run(plan), strict=True):
        assert_same(mine, theirs)


@torch.no_grad()
def test_masks_are_those_of_the_tracker_if_its_memory_has_another_size_than_the_image():
    model = model_of(1.0, neck={"scale_factors": [2.0, 1.0, 0.5, 0.5]})
    assert model.tracker.mask_side != SIDE
    batch, plan = batch_of(1, frames=4, objects=2, stride=1), PromptPlan("click", (0,) * 4)
    for mine, theirs in zip(trained(model, batch, plan), InferenceTracker(model, batch).run(plan), strict=True):
        assert_same(mine, theirs)


@torch.no_grad()
def test_the_compared_masks_depend_on_the_memory_and_objects_come_and_go():
    model, batch = model_of(), batch_of(1, frames=FRAMES, objects=2, stride=1)
    plan = PromptPlan("mask", (0,) * FRAMES)
    swapped = replace(batch, masks=batch.masks.flip(1))
    one, other = (trained(model, clips, plan)[1].outputs[-1].masks for clips in (batch, swapped))
    assert (one - other).abs().max() > 0.05
    seen = torch.cat([frame.outputs[-1].scores for frame in trained(model, batch, plan)[1:]]) > 0
    assert seen.any() and not seen.all()
