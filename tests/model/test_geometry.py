"""Geometry encoder against the reference, and its invariances."""

from dataclasses import replace

import pytest
import torch

from sam3model.config import GeometryConfig
from sam3model.detector.geometry import GeometryEncoder
from sam3model.errors import InputError
from tests.model.detector_goldens import geometry_prompt, select_images, small_features, small_model
from tests.model.weight_rule import assert_matches, fill, golden, small_config

BOTH = torch.arange(2)


@pytest.mark.parametrize("case", ["dummy", "boxes", "boxes_padded", "points", "points_boxes_padded"])
@torch.no_grad()
def test_tokens_match_the_reference(case: str) -> None:
    g, encoder = golden(), small_model().geometry
    prompt = geometry_prompt(g, f"geo.{case}", 2)
    encoded = encoder(prompt, small_features(), BOTH)
    valid = ~encoded.mask
    assert torch.equal(encoded.mask, g[f"geo.{case}.mask"].bool())
    assert_matches(encoded.tokens[valid], g[f"geo.{case}.tokens"].transpose(0, 1)[valid])
    if prompt is not None:
        before = encoder.embed(prompt, small_features(), BOTH).tokens
        assert_matches(before[valid], g[f"geo.{case}.tokens_before_layers"].transpose(0, 1)[valid])


@torch.no_grad()
def test_region_and_point_features_match_the_reference() -> None:
    from sam3model.ops.roi_align import sample_points

    g, encoder = golden(), small_model().geometry
    image = encoder.img_pre_norm(small_features().levels[-1].permute(0, 2, 3, 1))
    regions = encoder.pool_boxes(g["geo.boxes.in.boxes"].transpose(0, 1), image)
    assert_matches(regions.flatten(0, 1), g["geo.boxes.roi_features"])
    sampled = sample_points(image, g["geo.points.in.points"].transpose(0, 1))
    assert_matches(sampled.transpose(0, 1), g["geo.points.sampled_features"])


@pytest.mark.parametrize("case", ["geo_mask_only", "geo_boxes_and_mask"])
@torch.no_grad()
def test_mask_prompts_match_the_reference(case: str) -> None:
    g = golden()
    config = replace(small_config(), geometry=GeometryConfig(layers=2, ffn=128, mask_encoder=True))
    encoder = fill(GeometryEncoder(config), "geometry.")
    encoded = encoder(geometry_prompt(g, f"optional.{case}", 2), small_features(), BOTH)
    valid = ~encoded.mask
    assert torch.equal(encoded.mask, g[f"optional.{case}.mask"].bool())
    assert_matches(encoded.tokens[valid], g[f"optional.{case}.tokens"].transpose(0, 1)[valid])


@torch.no_grad()
def test_mask_prompts_stay_in_the_precision_of_the_model() -> None:
    g = golden()
    config = replace(small_config(), geometry=GeometryConfig(layers=2, ffn=128, mask_encoder=True))
    encoder = fill(GeometryEncoder(config), "geometry.").to(torch.bfloat16)
    features = small_features()
    low = replace(features, levels=tuple(level.to(torch.bfloat16) for level in features.levels))
    for case in ("geo_mask_only", "geo_boxes_and_mask"):
        assert encoder(geometry_prompt(g, f"optional.{case}", 2), low, BOTH).tokens.dtype == torch.bfloat16


def test_a_mask_prompt_without_mask_encoder_is_refused() -> None:
    prompt = geometry_prompt(golden(), "optional.geo_mask_only", 2)
    with pytest.raises(InputError, match="mask encoder"):
        small_model().geometry(prompt, small_features(), BOTH)


@torch.no_grad()
def test_no_prompt_equals_an_empty_prompt() -> None:
    prompt = geometry_prompt(golden(), "geo.boxes", 2)
    assert prompt is not None
    boxes, labels, mask = (t[:, :0] for t in (prompt.boxes, prompt.box_labels, prompt.box_mask))
    empty = replace(prompt, boxes=boxes, box_labels=labels, box_mask=mask)
    index = torch.tensor([1, 0])
    encoder = small_model().geometry
    nothing, none = encoder(empty, small_features(), index), encoder(None, small_features(), index)
    torch.testing.assert_close(nothing.tokens, none.tokens)
    assert torch.equal(nothing.mask, none.mask)


@torch.no_grad()
def test_the_content_of_padding_does_not_matter() -> None:
    prompt = geometry_prompt(golden(), "geo.points_boxes_padded", 2)
    assert prompt is not None
    other = replace(
        prompt,
        boxes=torch.where(prompt.box_mask[..., None], 0.77, prompt.boxes),
        points=torch.where(prompt.point_mask[..., None], 0.11, prompt.points),
    )
    encoder = small_model().geometry
    a, b = encoder(prompt, small_features(), BOTH), encoder(other, small_features(), BOTH)
    torch.testing.assert_close(a.tokens[~a.mask], b.tokens[~b.mask])


@torch.no_grad()
def test_prompts_on_one_image_equal_prompts_on_its_copies() -> None:
    prompt = geometry_prompt(golden(), "geo.points_boxes_padded", 2)
    features, encoder = small_features(), small_model().geometry
    shared = encoder(prompt, select_images(features, [1]), torch.zeros(2, dtype=torch.long))
    copied = encoder(prompt, select_images(features, [1, 1]), BOTH)
    torch.testing.assert_close(shared.tokens, copied.tokens, atol=2e-6, rtol=1e-5)


def test_boxes_of_zero_area_have_finite_tokens_and_gradients() -> None:
    prompt = geometry_prompt(golden(), "geo.boxes", 2)
    assert prompt is not None
    boxes = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.3], [1.5, -0.5, 0.0, 0.0]]).repeat(2, 1, 1)
    boxes.requires_grad_()
    tokens = small_model().geometry(replace(prompt, boxes=boxes), small_features(), BOTH).tokens
    tokens.sum().backward()
    assert tokens.isfinite().all()
    assert boxes.grad is not None and boxes.grad.isfinite().all()
