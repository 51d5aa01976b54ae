"""A model with halved patches starts as the coarse model on enlarged images."""

from dataclasses import replace

import pytest
import torch

from sam3model.checkpoint import save_native
from sam3model.config import DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError
from sam3model.parse import merge, parse
from sam3model.training.finer import halve_patches
from sam3model.training.settings import ModelConfig
from sam3model.training.start import initial_model
from tests.training.conftest import TINY_MODEL


@pytest.fixture
def coarse():
    torch.manual_seed(0)
    config = ModelConfig(overrides=merge(TINY_MODEL, {"neck": {"scale_factors": [4.0, 2.0, 1.0, 0.5]}})).resolve()
    return Sam3ImageModel(config).eval()


def finer(config: DetectorConfig) -> DetectorConfig:
    vit = replace(config.vit, patch_size=config.vit.patch_size // 2)
    return replace(config, vit=vit, neck=replace(config.neck, scale_factors=(2.0, 1.0, 0.5, 0.5)))


def test_the_trunk_sees_the_image_enlarged(coarse):
    fine = halve_patches(coarse, finer(coarse.config)).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        enlarged = coarse.vision.trunk(image.repeat_interleave(2, -1).repeat_interleave(2, -2))
        torch.testing.assert_close(fine.vision.trunk(image), enlarged, rtol=1e-4, atol=1e-4)
        shapes = [tuple(level.shape[-2:]) for level in fine.encode_image(image).levels]
    assert shapes == [(16, 16), (8, 8), (4, 4)]


def test_a_run_starts_from_weights_with_larger_patches(coarse, tmp_path):
    path = tmp_path / "coarse.safetensors"
    save_native(coarse, path)
    config = finer(coarse.config)
    model = initial_model(ModelConfig(weights=str(path)), config)
    torch.testing.assert_close(model.decoder.state_dict(), coarse.decoder.state_dict())
    with pytest.raises(CheckpointError, match="does not have the shape"):
        initial_model(ModelConfig(weights=str(path)), parse(DetectorConfig, merge(TINY_MODEL, {
            "d_model": 64, "vit": {"patch_size": 8}, "text": {"context_length": 16}})))  # fmt: skip
