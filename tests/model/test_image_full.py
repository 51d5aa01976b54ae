"""The model at its released size on one photo: every stage matches the reference (slow)."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools import mask as coco
from safetensors.torch import load_file
from torch import Tensor

from sam3model.build import build
from sam3model.detector.model import Grounding, Sam3ImageModel
from sam3model.image import EncodedImage, Sam3ImagePredictor
from sam3model.ops.resize import preprocess
from sam3model.structures import GeometryPrompt, ImageFeatures, PromptTokens
from tests.model.weight_rule import GOLDENS, draw, official_name

pytestmark = pytest.mark.slow

CASES = ("text0", "text1", "text1_box")
FEATURES, LOGITS, BOXES, SCORES, PRESENCE, MASKS = 3e-4, 1e-4, 5e-5, 2e-5, 1e-5, 0.02
"""Tolerances: features in standard deviations, boxes normalised, masks as stored in float16."""


@cache
def record() -> dict[str, Any]:
    return json.loads((GOLDENS / "image_full.json").read_text())


@cache
def golden() -> dict[str, Tensor]:
    return load_file(GOLDENS / "image_full.safetensors")


def result(case: str) -> dict[str, Any]:
    return next(found for found in record()["results"] if found["case"] == case)


@pytest.fixture(scope="module")
def model() -> Sam3ImageModel:
    """Built on the meta device and filled tensor by tensor, so that there is one copy of the weights."""
    with torch.device("meta"):
        model = build("sam3").detector
    state = {
        name: draw(official_name(name), tuple(tensor.shape), record()["salt"])
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    return model.eval()


@pytest.fixture(scope="module")
def blocks(model: Sam3ImageModel) -> dict[str, Tensor]:
    """Outputs of the trunk's blocks 0, 7, 15, 23 and 31 and of the trunk itself, filled by `encoded`."""
    return {}


@pytest.fixture(scope="module")
def encoded(model: Sam3ImageModel, blocks: dict[str, Tensor]) -> EncodedImage:
    """The exact 8-bit model input of the reference, encoded."""
    trunk, window = model.vision.trunk, model.config.vit.window
    hooks = [
        trunk.blocks[i].register_forward_hook(
            lambda _module, _inputs, out, i=i: blocks.update({f"vit.block{i}": in_rows(out, window)})
        )
        for i in (0, 7, 15, 23, 31)
    ]
    hooks.append(trunk.register_forward_hook(lambda _module, _inputs, out: blocks.update({"vit.out": out})))
    pixels = preprocess(Image.open(GOLDENS / "image_full_input1008.png"), record()["resolution"])
    with torch.inference_mode():
        features = model.encode_image(pixels.unsqueeze(0))
    for hook in hooks:
        hook.remove()
    return EncodedImage(features, tuple(record()["image_size_wh"]))


def in_rows(tokens: Tensor, window: int) -> Tensor:
    """Tokens in window order (1, N, C) -> (1, C, H, W)."""
    across = round(tokens.shape[1] ** 0.5) // window
    x = tokens.unflatten(1, (across, across, window, window)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def sampled(x: Tensor) -> Tensor:
    """16 channels of the middle row of a map (1, C, H, W) at 16 columns, as stored: (16, 16)."""
    _, channels, height, width = x.shape
    columns = torch.arange(16) * width // 16
    return x[0, :: channels // 16, height // 2][:16, columns]


def check_stats(x: Tensor, name: str, tolerance: float = FEATURES) -> None:
    """Mean, standard deviation, mean absolute value and extremes, to `tolerance` standard deviations (extremes: 5x)."""
    expected, x = record()["stats"][name], x.double()
    assert list(x.shape) == expected["shape"]
    found = {"mean": x.mean(), "std": x.std(), "abs_mean": x.abs().mean(), "min": x.min(), "max": x.max()}
    for key, value in found.items():
        allowed = tolerance * expected["std"] * (5 if key in ("min", "max") else 1)
        assert value.item() == pytest.approx(expected[key], abs=allowed), f"{name}: {key}"


def check(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual.float(), expected.float(), atol=tolerance, rtol=0)


def check_features(actual: Tensor, expected: Tensor) -> None:
    check(actual, expected, FEATURES * max(1.0, expected.float().std().item()))


def test_weights_follow_the_rule(model: Sam3ImageModel) -> None:
    state = {official_name(name): tensor for name, tensor in model.state_dict().items()}
    for name, probe in record()["weight_probe"].items():
        assert state[name].double().sum().item() == pytest.approx(probe["sum"], rel=1e-6, abs=1e-3), name
        assert state[name].flatten()[:3].tolist() == pytest.approx(probe["first"], rel=1e-6), name


def test_preprocessing_of_the_photo() -> None:
    """Within one of 256 levels and almost everywhere exact: the fixed-point resize depends on the processor."""
    pixels = preprocess(Image.open(GOLDENS / record()["image"]), record()["resolution"])
    exact = preprocess(Image.open(GOLDENS / "image_full_input1008.png"), record()["resolution"])
    check_stats(exact.unsqueeze(0), "preprocess", 1e-6)
    assert torch.equal(exact[:, :64, :64], golden()["preprocess.corner64"])
    assert torch.equal(exact[:, 472:536, 472:536], golden()["preprocess.center64"])
    check(pixels, exact, 1.01 * 2 / 255)
    assert (pixels != exact).float().mean() < 0.02


def test_trunk_and_pyramid(encoded: EncodedImage, blocks: dict[str, Tensor]) -> None:
    levels = {f"fpn.{i}": level for i, level in enumerate(encoded.features.levels)}
    for name, x in (blocks | levels).items():
        check_stats(x, name)
        check_features(sampled(x), golden()[f"{name}.slice"])
    for i, position in enumerate(encoded.features.positions):
        check_stats(position, f"pos.{i}")
    assert set(blocks) == {name for name in record()["stats"] if name.startswith("vit.")}


@torch.inference_mode()
def ground(model: Sam3ImageModel, features: ImageFeatures, case: str) -> tuple[Grounding, Tensor]:
    """Run one case up to the decoder."""
    found = result(case)
    index = torch.zeros(1, dtype=torch.long)
    ids = torch.tensor(record()["text_ids32"])[record()["texts"].index(found["text"])]
    prompt = None
    if found["box_cxcywh"]:
        none = torch.zeros(1, 0)
        prompt = GeometryPrompt(
            boxes=torch.tensor(found["box_cxcywh"]).view(1, 1, 4),
            box_labels=torch.tensor([[int(found["box_label"])]]),
            box_mask=torch.zeros(1, 1, dtype=torch.bool),
            points=torch.zeros(1, 0, 2),
            point_labels=none.long(),
            point_mask=none.bool(),
        )
    geometry = model.encode_geometry(prompt, features, index)
    return model.fuse_and_decode(features, model.encode_text(ids.unsqueeze(0)), geometry, index), index


@pytest.mark.parametrize("case", CASES)
def test_case(model: Sam3ImageModel, encoded: EncodedImage, case: str) -> None:
    g = {name.removeprefix(f"{case}."): x for name, x in golden().items() if name.startswith(f"{case}.")}
    grounding, index = ground(model, encoded.features, case)
    valid = ~g["prompt_mask"].bool()
    assert torch.equal(grounding.prompt_mask, g["prompt_mask"].bool())
    check_features(grounding.prompt[valid], g["prompt"].transpose(0, 1)[valid])
    check_stats(grounding.memory.transpose(0, 1), f"{case}.encoder_memory")
    memory = grounding.memory.transpose(1, 2).unflatten(2, (72, 72))
    check_features(sampled(memory), g["encoder_memory.slice"])
    check(grounding.logits, g["pred_logits"].squeeze(-1), LOGITS)
    check(grounding.boxes, g["pred_boxes"], BOXES)
    check(grounding.presence.view(1, 1), g["presence_logit_dec"], PRESENCE)
    check_features(grounding.queries[:, :50], g["decoder_hs_last.q0to49"])
    with torch.inference_mode():
        prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
        pixels = model.segmentation.pixels(grounding.memory, prompt, encoded.features, index)
        masks, semantic = model.segmentation.masks_and_semantic(grounding.queries, pixels)
    check_stats(masks, f"{case}.pred_masks")
    check_stats(semantic, f"{case}.semantic_seg")
    check(F.avg_pool2d(semantic, 4), g["semantic_seg.mean4x4"], FEATURES)
    if "top5_masks" in g:
        check(masks[0, g["top5_queries"].flatten().long()], g["top5_masks"].view(5, 288, 288), MASKS)


@pytest.mark.parametrize("case", CASES)
def test_predictions_match_the_processor(model: Sam3ImageModel, encoded: EncodedImage, case: str) -> None:
    expected = result(case)
    boxes = None
    if expected["box_cxcywh"]:
        cx, cy, w, h = expected["box_cxcywh"]
        boxes = np.array([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]]) * (encoded.size * 2)
    found = Sam3ImagePredictor(model).predict_prompt(
        encoded, phrase=expected["text"], boxes=boxes, threshold=expected["confidence_threshold"]
    )
    np.testing.assert_allclose(found.scores, expected["scores"], atol=SCORES)
    np.testing.assert_allclose(found.boxes, expected["boxes_xyxy_pixels"], atol=0.05)
    areas = found.masks.sum(axis=(1, 2))
    if expected["rle"] is None:
        assert np.abs(areas - expected["mask_areas"]).max() <= 20
        return
    overlaps = coco.iou(found.to_coco_rle(), expected["rle"], [0] * len(found)).diagonal()
    assert overlaps.min() >= 0.9995
