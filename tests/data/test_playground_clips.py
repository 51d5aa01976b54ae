"""Training samples from Playground clips."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sam3model.data.playground_clips import MIN_VISIBLE, PlaygroundClips
from sam3model.ops.resize import preprocess
from sam3model.playground import clip

SMALL = {"size": 128, "frames": 4, "objects": 2, "mask_stride": 4}


def test_a_sample_has_frames_and_masks_of_the_requested_sizes():
    sample = PlaygroundClips("train", **SMALL)(3)
    count = sample.masks.shape[1]
    assert 1 <= count <= 2
    assert sample.frames.shape == (4, 3, 128, 128)
    assert sample.masks.shape == (4, count, 32, 32)
    assert sample.frames.dtype == torch.float32
    assert -1 <= sample.frames.min() < sample.frames.max() <= 1
    assert sample.annotated.shape == (4, count)
    assert sample.annotated.all()


def test_samples_depend_on_seed_and_number_alone():
    first, again = PlaygroundClips("train", **SMALL)(5), PlaygroundClips("train", **SMALL)(5)
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.masks, again.masks)
    assert first.name != PlaygroundClips("train", **SMALL)(6).name
    assert not torch.equal(first.frames, PlaygroundClips("train", seed=1, **SMALL)(5).frames)


def test_every_object_is_visible_on_the_first_frame():
    for index in range(12):
        sample = PlaygroundClips("train", **SMALL)(index)
        assert sample.masks[0].any((1, 2)).all()


def test_frames_and_masks_are_those_of_the_clip():
    """A sample at full size, without a mask stride, against the clip that its name tells."""
    sample = PlaygroundClips("val", size=256, frames=2, objects=1, stride=(2, 2))(0)
    _, split, number, start = sample.name.split("/")
    shown = clip(split, int(number))
    for k in range(2):
        frame = shown.frame(int(start) + 2 * k)
        assert torch.equal(sample.frames[k], preprocess(frame.image, 256))
    frame, mask = shown.frame(int(start)), sample.masks[0, 0]
    grown = F.interpolate(torch.from_numpy(frame.owners)[None, None].float(), (256, 256))[0, 0]
    inside = [float((grown[mask] == id + 1).float().mean()) for id in range(len(shown.objects))]
    assert max(inside) > 0.9
    assert frame.visible[int(np.argmax(inside))] >= MIN_VISIBLE


def test_a_clip_shorter_than_the_sample_turns_around():
    sample = PlaygroundClips("train", size=64, frames=300, objects=1, stride=(1, 1), mask_stride=8)(0)
    count = clip("train", int(sample.name.split("/")[2]), size=(80, 64), count=(1, 2)).count
    start = int(sample.name.split("/")[-1])
    assert len(sample.frames) == 300
    turn = count - 1 - start
    assert torch.equal(sample.frames[turn + 1], sample.frames[turn - 1]) or turn == 0


@pytest.mark.parametrize("reverse", [0.0, 1.0])
def test_reversed_samples_run_backwards(reverse):
    sample = PlaygroundClips("train", size=64, frames=2, objects=1, stride=(1, 1), mask_stride=4, reverse=reverse)(1)
    number, start = (int(part) for part in sample.name.split("/")[2:])
    following = start + (-1 if reverse else 1)
    shown = PlaygroundClips("train", size=64)._clip(number)
    assert torch.equal(sample.frames[1], preprocess(shown.frame(following).image, 64))
