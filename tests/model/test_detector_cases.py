"""Complete forward passes against the reference, and batching."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sam3model.detector.model import Grounding, Sam3ImageModel
from sam3model.detector.scoring import DotProductScoring, joint_logits
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.structures import ImageFeatures, PromptTokens
from tests.model.detector_goldens import geometry_prompt, select_images, small_features, small_model
from tests.model.weight_rule import assert_matches, fill, golden, official_name, small_config, small_record

CASES = ["text", "text_boxes", "visual_boxes", "two_texts_one_image", "mixed_points_boxes"]


def case_tensors(case: str) -> dict[str, Tensor]:
    tensors = golden("image_small_cases")
    return {k.removeprefix(f"{case}."): v for k, v in tensors.items() if k.startswith(f"{case}.")}


def ground(model: Sam3ImageModel, case: str) -> tuple[Grounding, ImageFeatures, Tensor]:
    """Run one case up to the decoder; `two_texts_one_image` has a single image."""
    g = case_tensors(case)
    features, index = small_features(), g["img_ids"]
    if case == "two_texts_one_image":
        features, index = select_images(features, [int(index[0])]), torch.zeros_like(index)
    text = model.encode_text(golden()["text.ids"][g["text_ids"]])
    prompt = geometry_prompt(golden("image_small_cases"), case, len(index))
    geometry = model.encode_geometry(prompt, features, index)
    return model.fuse_and_decode(features, text, geometry, index), features, index


def record_outputs(*modules: nn.Module) -> tuple[list[Any], list[Any]]:
    """A list that collects the outputs of the modules, and the hooks to remove."""
    outputs: list[Any] = []
    return outputs, [m.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for m in modules]


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_case_matches_the_reference(case: str) -> None:
    model, g = small_model(), case_tensors(case)
    grounding, features, index = ground(model, case)
    valid = ~grounding.prompt_mask
    assert torch.equal(grounding.prompt_mask, g["prompt_mask"].bool())
    assert_matches(grounding.prompt[valid], g["prompt"].transpose(0, 1)[valid])
    assert_matches(grounding.memory.transpose(0, 1), g["encoder_memory"])
    assert_matches(grounding.logits.unsqueeze(-1), g["pred_logits"])
    assert_matches(grounding.boxes, g["pred_boxes"])
    assert_matches(cxcywh_to_xyxy(grounding.boxes), g["pred_boxes_xyxy"])
    torch.testing.assert_close(grounding.presence.unsqueeze(-1), g["presence_logit_dec"], atol=1e-5, rtol=0)
    masks = model.decode_masks(grounding, features, index)
    expected = g["pred_masks"] if "pred_masks" in g else g["pred_masks.q0to7"]
    assert_matches(masks[:, : expected.shape[1]], expected, 3e-4)
    prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
    pixels = model.segmentation.pixels(grounding.memory, prompt, features, index)
    _, semantic = model.segmentation.masks_and_semantic(grounding.queries, pixels)
    assert_matches(semantic, g["semantic_seg"], 3e-4)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_decoder_layer_matches_the_reference(case: str) -> None:
    model, g = small_model(), case_tensors(case)
    grounding, features, _ = ground(model, case)
    prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
    layers = model.decoder(grounding.memory, features.positions[-1], prompt)
    assert_matches(torch.stack([layer.queries for layer in layers]), g["decoder_hs"])
    assert_matches(torch.stack([layer.references for layer in layers]), g["decoder_reference_boxes"])
    presence = torch.stack([layer.presence for layer in layers])
    torch.testing.assert_close(presence, g["decoder_presence_logits"], atol=1e-5, rtol=0)
    pooled = model.scoring.pool(prompt.tokens, prompt.mask)
    scores = torch.stack([model.scoring.score(layer.queries, pooled) for layer in layers])
    assert_matches(scores, g["scores_all_layers"])


@torch.no_grad()
def test_inner_stages_match_the_reference() -> None:
    model, g = small_model(), case_tensors("text")
    decoded, hooks = record_outputs(*model.decoder.layers)
    attended, more = record_outputs(model.segmentation.cross_attend_prompt)
    pixels, last = record_outputs(model.segmentation.pixel_decoder)
    grounding, features, index = ground(model, "text")
    model.decode_masks(grounding, features, index)
    for hook in hooks + more + last:
        hook.remove()
    for i, output in enumerate(decoded):
        assert_matches(output[:, 1:].transpose(0, 1), g[f"decoder_layer{i}"])
        assert_matches(output[:, :1].transpose(0, 1), g[f"decoder_presence_token{i}"])
    assert_matches(attended[0].transpose(0, 1), g["seg_cross_attend_out"])
    assert_matches(pixels[0][:1, :16], g["pixel_embed.image0_ch0to15"])
    assert_matches(model.segmentation.mask_predictor.mask_embed(grounding.queries), g["mask_embed"])
    reference = g["decoder_reference_boxes"][0]
    assert_matches(model.decoder.sine.encode_queries(reference).transpose(0, 1), g["decoder_query_sine0"])
    assert_matches(model.decoder.query_position(reference).transpose(0, 1), g["decoder_query_pos0"])
    bias = model.decoder.box_bias(reference, 12, 12)
    assert not bias[:, :, 0].any()  # the presence token's
    assert_matches(bias[:1, :, 1:7], g["decoder_box_bias0"])


@torch.no_grad()
def test_every_fusion_layer_matches_the_reference() -> None:
    model, g = small_model(), case_tensors("text")
    grounding, features, index = ground(model, "text")
    prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
    whole = model.fusion.layers
    try:
        for count in (1, 2):
            model.fusion.layers = whole[:count]
            assert_matches(model.fusion(features, prompt, index), g[f"encoder_layer{count - 1}"])
    finally:
        model.fusion.layers = whole


@torch.no_grad()
def test_joint_scores_match_the_reference() -> None:
    grounding, _, _ = ground(small_model(), "text")
    joint = joint_logits(grounding.logits, grounding.presence)
    assert_matches(joint.unsqueeze(-1), case_tensors("text_joint_score")["pred_logits"])


def extreme_model(leave_out: str = "nothing") -> Sam3ImageModel:
    model = Sam3ImageModel(small_config())
    fill(model)
    parameters = {official_name(k): v for k, v in model.named_parameters()}
    for name, factor in small_record()["extreme_weight_factors"].items():
        if leave_out not in name:
            parameters[name].data *= factor
    return model


@torch.no_grad()
def test_extreme_weights_match_the_reference() -> None:
    g, model = case_tensors("extreme"), extreme_model()
    grounding, features, _ = ground(model, "text")
    layers = model.decoder(
        grounding.memory, features.positions[-1], PromptTokens(grounding.prompt, grounding.prompt_mask)
    )
    references = torch.stack([layer.references for layer in layers])
    presence = torch.stack([layer.presence for layer in layers])
    torch.testing.assert_close(references, g["decoder_reference_boxes"], atol=1e-3, rtol=0)
    torch.testing.assert_close(presence, g["decoder_presence_logits"], atol=1e-3, rtol=0)
    torch.testing.assert_close(grounding.boxes, g["pred_boxes"], atol=1e-3, rtol=0)
    torch.testing.assert_close(grounding.logits.unsqueeze(-1), g["pred_logits"], atol=1e-3, rtol=0)
    torch.testing.assert_close(grounding.presence.unsqueeze(-1), g["presence_logit_dec"], atol=1e-3, rtol=0)
    joint = joint_logits(grounding.logits, grounding.presence).unsqueeze(-1)
    torch.testing.assert_close(joint, g["pred_logits_joint"], atol=1e-3, rtol=0)
    plain, _, _ = ground(extreme_model(leave_out="presence"), "text")
    joint = joint_logits(plain.logits, plain.presence).unsqueeze(-1)
    torch.testing.assert_close(joint, g["pred_logits_joint_plain_presence"], atol=1e-3, rtol=0)


@torch.no_grad()
def test_a_batch_of_prompts_equals_one_by_one() -> None:
    model, g = small_model(), case_tensors("mixed_points_boxes")
    batch = ground(model, "mixed_points_boxes")[0]
    prompt = geometry_prompt(golden("image_small_cases"), "mixed_points_boxes", 3)
    assert prompt is not None
    for p in range(3):
        features = select_images(small_features(), [int(g["img_ids"][p])])
        index = torch.zeros(1, dtype=torch.long)
        boxes, points = ~prompt.box_mask[p], ~prompt.point_mask[p]
        alone = type(prompt)(
            prompt.boxes[p : p + 1, boxes], prompt.box_labels[p : p + 1, boxes], prompt.box_mask[p : p + 1, boxes],
            prompt.points[p : p + 1, points], prompt.point_labels[p : p + 1, points],
            prompt.point_mask[p : p + 1, points],
        )  # fmt: skip
        text = model.encode_text(golden()["text.ids"][g["text_ids"][p : p + 1]])
        single = model.fuse_and_decode(features, text, model.encode_geometry(alone, features, index), index)
        assert_matches(single.logits[0], batch.logits[p], 2e-5)
        assert_matches(single.boxes[0], batch.boxes[p], 1e-5)
        assert single.presence.item() == pytest.approx(batch.presence[p].item(), abs=1e-5)


@torch.no_grad()
def test_masks_of_selected_queries_equal_those_of_all() -> None:
    model = small_model()
    grounding, features, index = ground(model, "mixed_points_boxes")
    everything = model.decode_masks(grounding, features, index)
    select = torch.tensor([[2, 5], [0, 3], [2, 0]])
    runs, hooks = record_outputs(model.segmentation.pixel_decoder)
    chosen = model.decode_masks(grounding, features, index, select)
    hooks[0].remove()
    assert_matches(chosen, everything[select[:, 0], select[:, 1]], 1e-5)
    assert sum(len(out) for out in runs) == 2  # prompt 1 has no survivor and costs nothing
    assert model.decode_masks(grounding, features, index, select[:0]).shape == (0, 48, 48)


@torch.no_grad()
def test_forward_equals_its_stages() -> None:
    model, g = small_model(), case_tensors("text_boxes")
    grounding, features, index = ground(model, "text_boxes")
    prompt = geometry_prompt(golden("image_small_cases"), "text_boxes", 2)
    detections = model(golden()["image.pixels"], golden()["text.ids"][g["text_ids"]], prompt, index)
    torch.testing.assert_close(detections.main.logits, grounding.logits)
    assert_matches(detections.main.masks, model.decode_masks(grounding, features, index), 1e-5)
    assert_matches(detections.semantic, g["semantic_seg"], 3e-4)
    assert detections.one_to_many is None and detections.aux == ()


@torch.no_grad()
def test_box_bias_and_scores_are_computed_in_float32_under_low_precision() -> None:
    """The rounded weights give the same numbers as in a float32 model that holds these very values."""
    low = fill(Sam3ImageModel(small_config())).bfloat16()
    exact = fill(Sam3ImageModel(small_config())).bfloat16().float()
    boxes = torch.rand(2, 20, 4, generator=torch.Generator().manual_seed(0))
    rounded, unrounded = low.decoder.box_bias(boxes, 6, 7), exact.decoder.box_bias(boxes, 6, 7)
    assert torch.equal(rounded, unrounded.bfloat16()), "rounded once, when it is complete"
    with torch.enable_grad():
        assert torch.equal(low.decoder.box_bias(boxes, 6, 7), unrounded)
    queries = torch.randn(2, 20, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    pooled = torch.randn(2, 64, generator=torch.Generator().manual_seed(2)).bfloat16()
    scoring: DotProductScoring = low.scoring
    projected = scoring.hs_proj(queries).double()
    product = (projected @ pooled.double().unsqueeze(-1)).squeeze(-1) * scoring.scale
    torch.testing.assert_close(scoring.score(queries, pooled).double(), product.clamp(-12, 12), atol=1e-5, rtol=1e-5)
