"""What a run of clicks and tracker starts with: parts of weights, and new parts."""

from dataclasses import replace

import pytest
import torch

from sam3model.build import Sam3Model, build
from sam3model.checkpoint import load, save_native
from sam3model.config import Sam3Config
from sam3model.errors import CheckpointError, ConfigError
from sam3model.training.clip_settings import TRACKED_PARTS, ClipModelConfig
from sam3model.training.clip_task import initial_parts
from tests.training.tiny_clips import TRACKED

DETECTION, INTERACTIVE = "detector.vision.neck.detection.", "detector.vision.neck.interactive."


def started(**changes: object) -> Sam3Model:
    config = ClipModelConfig(**changes)
    return initial_parts(config, config.resolve())[0]


def test_weights_of_images_give_the_image_half_and_a_copy_of_the_detection_neck(tmp_path):
    shipped = load("tiny", dtype=torch.float32)
    detector = shipped.config.detector
    tiny = build(Sam3Config(replace(detector, neck=replace(detector.neck, interactive=None))))
    tiny.load_state_dict({name: value for name, value in shipped.state_dict().items() if name in tiny.state_dict()})
    save_native(tiny, tmp_path / "images.safetensors")
    model = started(weights=str(tmp_path / "images.safetensors"))
    own = model.state_dict()
    for name, value in tiny.state_dict().items():
        assert torch.equal(own[name], value), name
        if name.startswith(DETECTION):
            copied = own[name.replace(DETECTION, INTERACTIVE)]
            # the place prior makes the level that codes are added to quieter
            ratio = 0.15 if name.startswith(f"{DETECTION}2.conv_3x3.") else 1.0
            torch.testing.assert_close(copied, ratio * value)
    first = model.interactive.mask_decoder.transformer.layers[0].cross_attn_token_to_image
    assert torch.equal(first.q_proj.weight, first.k_proj.weight)


def test_weights_with_all_parts_are_taken_exactly(tmp_path):
    given = build(ClipModelConfig(overrides=TRACKED).resolve(), parts=TRACKED_PARTS)
    save_native(given, tmp_path / "all.safetensors", dtype=torch.float32)
    model = started(weights=str(tmp_path / "all.safetensors"), overrides=TRACKED)
    own = model.state_dict()
    assert own.keys() == given.state_dict().keys()
    assert all(torch.equal(own[name], value) for name, value in given.state_dict().items())


def test_a_tracker_is_added_to_weights_with_heads_only(tmp_path):
    given = build(ClipModelConfig(overrides=TRACKED).resolve(), parts=("detector", "interactive"))
    save_native(given, tmp_path / "heads.safetensors", dtype=torch.float32)
    own = started(weights=str(tmp_path / "heads.safetensors"), overrides=TRACKED).state_dict()
    assert all(torch.equal(own[name], value) for name, value in given.state_dict().items())
    assert any(name.startswith("tracker.") for name in own)


@pytest.mark.parametrize(
    "other", [{"interactive": {"iou_hidden": 24}}, {"tracker": {"layers": 2}}, {"detector": {"d_model": 64}}]
)
def test_weights_of_other_shapes_are_refused_in_one_line(tmp_path, other):
    given = build(ClipModelConfig(overrides=TRACKED).resolve(), parts=TRACKED_PARTS)
    save_native(given, tmp_path / "all.safetensors")
    overrides = {part: TRACKED[part] | other.get(part, {}) for part in TRACKED}
    with pytest.raises(CheckpointError, match=r"all\.safetensors has no ") as refusal:
        started(weights=str(tmp_path / "all.safetensors"), overrides=overrides)
    assert "\n" not in str(refusal.value)


def test_a_model_of_which_nothing_is_trained_is_refused():
    with pytest.raises(ConfigError, match="no parameter is left to train"):
        started(overrides=TRACKED, frozen=("",), trained=())
