from dataclasses import replace

import pytest
import torch

from sam3model.backbone import VisionBackbone
from sam3model.backbone.vit import _from_windows
from sam3model.config import NeckConfig
from sam3model.errors import ConfigError, InputError
from sam3model.ops.rope import axial_angles
from tests.model.weight_rule import assert_matches, fill, golden, small_config

GRID = (12, 12)


@pytest.fixture(scope="module")
def backbone() -> VisionBackbone:
    return fill(VisionBackbone(small_config()), "vision.")


@pytest.fixture(scope="module")
def stages(backbone):
    """Every intermediate of one forward pass, in row-major (B, H, W, C)."""
    seen = {}

    def keep(name):
        def hook(module, inputs, output):
            seen[name] = output

        return hook

    trunk = backbone.trunk
    handles = [trunk.patch_embed.register_forward_hook(keep("patch_embed"))]
    handles.append(trunk.ln_pre.register_forward_pre_hook(lambda module, inputs: seen.update(after_pos=inputs[0])))
    handles.append(trunk.ln_pre.register_forward_hook(keep("ln_pre")))
    handles += [block.register_forward_hook(keep(f"block{i}")) for i, block in enumerate(trunk.blocks)]
    with torch.inference_mode():
        seen["features"] = backbone(golden()["image.pixels"], keep_trunk=True)
        seen["interactive"] = backbone.pyramid(seen["features"], "interactive")
    for handle in handles:
        handle.remove()
    return {k: _from_windows(v, GRID, 4) if isinstance(v, torch.Tensor) and v.ndim == 3 else v for k, v in seen.items()}


@pytest.mark.parametrize("stage", ["patch_embed", "after_pos", "ln_pre", "block0", "block1", "block2", "block3"])
def test_trunk_stage_matches_reference(stages, stage):
    assert_matches(stages[stage], golden()[f"vit.{stage}"])


def test_trunk_output_matches_reference(stages):
    assert_matches(stages["features"].trunk, golden()["vit.out"])


def test_rotary_angles_match_reference():
    for name, angles in {
        "window": axial_angles(4, 4, 16),
        "global": axial_angles(12, 12, 16, scale=(1 / 3, 1 / 3)),
    }.items():
        assert_matches(angles.cos(), golden()[f"vit.rope.{name}.real"], 1e-6)
        assert_matches(angles.sin(), golden()[f"vit.rope.{name}.imag"], 1e-6)


def test_detector_pyramid_matches_reference(stages):
    levels = stages["features"].levels
    assert len(levels) == 3
    assert_matches(levels[0][:1], golden()["neck.sam3.0.image0"])
    assert_matches(levels[1], golden()["neck.sam3.1"])
    assert_matches(levels[2], golden()["neck.sam3.2"])


def test_dropped_level_has_the_right_weights(backbone, stages):
    """The dropped level keeps its weights, although no forward pass uses it."""
    with torch.inference_mode():
        for convs, name in ((backbone.neck.detection, "sam3"), (backbone.neck.interactive, "sam2")):
            assert_matches(convs[3](stages["features"].trunk), golden()[f"neck.{name}.3"])


def test_interactive_pyramid_matches_reference(stages):
    levels = stages["interactive"]
    assert_matches(levels[0][:1, :16], golden()["neck.sam2.0.image0_ch0to15"])
    assert_matches(levels[1], golden()["neck.sam2.1"])
    assert_matches(levels[2], golden()["neck.sam2.2"])


def test_position_codes_match_reference(stages):
    positions = stages["features"].positions
    assert_matches(positions[0][..., ::6, ::6], golden()["neck.pos.0.stride6"])
    assert_matches(positions[1][..., ::3, ::3], golden()["neck.pos.1.stride3"])
    assert_matches(positions[2], golden()["neck.pos.2"])


def test_a_pyramid_needs_its_head_and_the_trunk_output():
    config = small_config()
    backbone = VisionBackbone(replace(config, neck=NeckConfig(interactive=None))).eval()
    pixels = torch.zeros(1, 3, 56, 56)
    with torch.inference_mode():
        assert backbone(pixels).trunk is None
        with pytest.raises(InputError, match="keep_trunk=True"):
            backbone.pyramid(backbone(pixels), "interactive")
        with pytest.raises(ConfigError, match="no 'interactive' head: this model has detection"):
            backbone.pyramid(backbone(pixels, keep_trunk=True), "interactive")


def test_smaller_and_oblong_images_fit_and_others_are_refused(backbone):
    with torch.inference_mode():
        assert [tuple(level.shape[-2:]) for level in backbone(torch.zeros(1, 3, 56, 112)).levels] == [
            (16, 32),
            (8, 16),
            (4, 8),
        ]
        with pytest.raises(InputError, match="multiples of 56"):
            backbone(torch.zeros(1, 3, 84, 56))


def test_positions_are_tiled_so_window_attention_repeats_with_the_image():
    """With window blocks alone, an image of equal tiles gives equal features in every tile."""
    config = small_config()
    trunk = fill(VisionBackbone(config), "vision.").trunk
    for block in trunk.blocks:
        block.is_global = False
    tile = golden()["image.pixels"][:1, :, :56, :56]
    with torch.inference_mode():
        out = trunk(tile.repeat(1, 1, 2, 3))
        assert_matches(out, trunk(tile).repeat(1, 1, 2, 3), 1e-5)


def test_checkpointing_does_not_change_gradients():
    backbone = VisionBackbone(small_config()).train()
    pixels = torch.randn(1, 3, 56, 56)
    gradients = []
    for checkpointing in (False, True):
        backbone.trunk.checkpointing = checkpointing
        backbone.zero_grad()
        backbone(pixels).levels[2].square().mean().backward()
        gradients.append(backbone.trunk.blocks[0].attn.qkv.weight.grad.clone())
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1])


def test_low_precision_stays_close_to_float32(backbone):
    pixels = golden()["image.pixels"]
    expected = golden()["vit.out"]
    with torch.inference_mode():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            autocast = backbone(pixels, keep_trunk=True).trunk
        low = fill(VisionBackbone(small_config()), "vision.").to(torch.bfloat16)
        pure = low(pixels.to(torch.bfloat16), keep_trunk=True).trunk
    for actual in (autocast, pure):
        error = (actual.float() - expected).square().mean().sqrt() / expected.std()
        assert error < 0.03, error


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_residual_stream_and_norms_are_float32_in_low_precision(dtype):
    trunk = fill(VisionBackbone(small_config()), "vision.").trunk.to(dtype)
    seen = {}
    for name, module in trunk.named_modules():
        module.register_forward_hook(lambda _module, _inputs, out, name=name: seen.update({name: out.dtype}))
    out = trunk(golden()["image.pixels"].to(dtype))
    assert out.dtype == dtype
    for i in range(4):
        assert {seen[f"blocks.{i}"], seen[f"blocks.{i}.norm1"], seen[f"blocks.{i}.norm2"]} == {torch.float32}
        assert {seen[f"blocks.{i}.attn"], seen[f"blocks.{i}.mlp"], seen["patch_embed"]} == {dtype}


def test_a_float32_residual_stream_reduces_the_rounding_error(stages):
    pixels, errors = golden()["image.pixels"], []
    low = fill(VisionBackbone(small_config()), "vision.").trunk.to(torch.bfloat16)
    for stream in (torch.bfloat16, torch.float32):
        hooks = [b.register_forward_hook(lambda _m, _i, out, to=stream: out.to(to)) for b in low.blocks]
        with torch.inference_mode():
            error = low(pixels.bfloat16()).float() - stages["features"].trunk
        errors.append(error.square().mean().sqrt().item())
        for hook in hooks:
            hook.remove()
    assert errors[1] < 0.8 * errors[0], errors


def test_drop_path_drops_whole_images_and_keeps_the_mean():
    from sam3model.layers.drop_path import DropPath

    torch.manual_seed(0)
    out = DropPath(0.25)(torch.ones(4000, 2, 3))
    per_sample = out.flatten(1)
    assert (per_sample.amax(1) == per_sample.amin(1)).all()
    assert abs(out.mean().item() - 1) < 0.05
    assert torch.equal(DropPath(0.25).eval()(out), out)
