"""A model with halved patches, or halved cells of clicks and tracks, starts as the coarse model on enlarged images."""

from dataclasses import asdict, replace

import pytest
import torch

from sam3model.backbone.neck import ViTDetNeck
from sam3model.build import build
from sam3model.checkpoint import save_native
from sam3model.config import DetectorConfig, NeckConfig, NeckHeadConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError
from sam3model.parse import merge, parse
from sam3model.training.clip_settings import TRACKED_PARTS, ClipModelConfig
from sam3model.training.clip_task import initial_parts
from sam3model.training.finer import add_finest_level, halve_cells, halve_patches
from sam3model.training.settings import ModelConfig
from sam3model.training.start import initial_model
from tests.training.conftest import TINY_MODEL
from tests.training.tiny_clips import TRACKED


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


FINE_CELLS = NeckHeadConfig(dropped_levels=0, scale_factors=(4.0, 2.0, 1.0))
WIDE = {"detector": TINY_MODEL | {"neck": {"scale_factors": [2.0, 1.0, 0.5, 0.5]}, "vit": TINY_MODEL["vit"] | {
    "patch_size": 8, "width": 64, "window": 8}}}  # fmt: skip


def pyramid(head: NeckHeadConfig, weights: dict | None = None) -> ViTDetNeck:
    torch.manual_seed(0)
    neck = ViTDetNeck(NeckConfig((2.0, 1.0, 0.5, 0.5), interactive=head), 64, 32)
    if weights is not None:
        neck.get_submodule("interactive").load_state_dict(weights)
    return neck


@torch.no_grad()
def test_levels_of_halved_cells_are_the_old_ones_on_an_enlarged_grid():
    coarse = pyramid(NeckHeadConfig())
    tensors = coarse.get_submodule("interactive").state_dict()
    fine = pyramid(FINE_CELLS, halve_cells(tensors, (4.0, 2.0, 1.0)))
    trunk = torch.randn(1, 64, 8, 8)
    enlarged = trunk.repeat_interleave(2, -1).repeat_interleave(2, -2)
    finest, middle, coarsest = fine(trunk, "interactive")
    _, old_middle, old_coarsest = coarse(enlarged, "interactive")
    torch.testing.assert_close(middle, old_middle, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(coarsest, old_coarsest, rtol=1e-4, atol=1e-5)  # pooling undoes the enlargement
    assert finest.shape[-2:] == (32, 32)


def test_a_run_with_halved_cells_starts_from_weights_with_whole_ones(tmp_path):
    sizes = merge(TRACKED, WIDE)
    given = build(ClipModelConfig(overrides=sizes).resolve(), parts=TRACKED_PARTS)
    save_native(given, tmp_path / "whole.safetensors", dtype=torch.float32)
    halved = merge(sizes, {"detector": {"neck": {"interactive": asdict(FINE_CELLS)}}})
    config = ClipModelConfig(overrides=halved, weights=str(tmp_path / "whole.safetensors"))
    model, new = initial_parts(config, config.resolve())
    assert not new
    assert model.interactive.grid == 2 * given.interactive.grid
    own = model.state_dict()
    kept = {name: value for name, value in given.state_dict().items() if ".neck.interactive." not in name}
    assert all(torch.equal(own[name], value) for name, value in kept.items())
    save_native(model, tmp_path / "half.safetensors", dtype=torch.float32)
    again, _ = initial_parts(replace(config, weights=str(tmp_path / "half.safetensors")), config.resolve())
    assert all(torch.equal(own[name], value) for name, value in again.state_dict().items())


@pytest.fixture
def blunt():
    """A model whose masks have the resolution of the trunk's tokens doubled, with a pixel decoder that was trained."""
    torch.manual_seed(0)
    neck = {"neck": {"scale_factors": [2.0, 1.0, 0.5, 0.5]}, "vit": {"patch_size": 8, "window": 8}}
    model = Sam3ImageModel(ModelConfig(overrides=merge(TINY_MODEL, neck)).resolve()).eval()
    for norm in model.segmentation.pixel_decoder.norms:
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.uniform_(-0.5, 0.5)
    return model


def with_a_finest_level(config: DetectorConfig) -> DetectorConfig:
    return replace(config, neck=NeckConfig((4.0, 2.0, 1.0, 0.5), detection=NeckHeadConfig(dropped_levels=0)))


@torch.no_grad()
def test_masks_of_twice_the_resolution_start_as_the_old_ones_enlarged(blunt):
    sharp = add_finest_level(blunt, with_a_finest_level(blunt.config)).eval()
    image, ids, index = torch.randn(1, 3, 64, 64), torch.tensor([[5, 6, 7, 0]]), torch.zeros(1, dtype=torch.long)
    old, new = blunt(image, ids, None, index), sharp(image, ids, None, index)
    torch.testing.assert_close(new.main.boxes, old.main.boxes)
    torch.testing.assert_close(new.main.logits, old.main.logits)
    enlarged = old.main.masks.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert new.main.masks.shape == enlarged.shape
    alike = torch.corrcoef(torch.stack((new.main.masks.flatten(), enlarged.flatten())))[0, 1]
    assert alike > 0.9


def test_a_run_with_finer_masks_starts_from_weights_with_coarser_ones(blunt, tmp_path):
    save_native(blunt, tmp_path / "blunt.safetensors")
    sharp = with_a_finest_level(blunt.config)
    model = initial_model(ModelConfig(weights=str(tmp_path / "blunt.safetensors")), sharp)
    torch.testing.assert_close(model.decoder.state_dict(), blunt.decoder.state_dict())
    assert model.config.neck.used("detection") == (4.0, 2.0, 1.0, 0.5)


@pytest.mark.parametrize("scales", [(2.0, 1.0, 0.5), (8.0, 4.0, 2.0)])
def test_cells_of_other_sizes_are_refused(scales):
    with pytest.raises(CheckpointError, match=r"from the scale factors 2, 1, 0\.5 to 4, 2, 1 alone"):
        halve_cells(pyramid(NeckHeadConfig()).get_submodule("interactive").state_dict(), scales)


def test_a_head_with_own_scale_factors_is_measured_by_them():
    neck = NeckConfig((2.0, 1.0, 0.5, 0.5), interactive=FINE_CELLS)
    assert neck.used("interactive") == (4.0, 2.0, 1.0)
    assert neck.used("detection") == (2.0, 1.0, 0.5)
