"""transformers' `Sam3Model` and ours give the same outputs with the same weights, and exports give the weights back.

The numbers come from `tests/goldens/make_transformers_goldens.py`: with boxes, that class needs torchvision.
"""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sam3model.checkpoint import Layout, load_with_report, save_transformers
from sam3model.checkpoint.name_tables import EXTRA_PREFIX
from sam3model.detector.model import Sam3ImageModel
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.structures import GeometryPrompt, PromptTokens
from tests.model.weight_rule import GOLDENS

FOLDER = GOLDENS / "transformers_small"
PADDING = -10
"""transformers' label of a padding box."""


@cache
def theirs() -> dict[str, Tensor]:
    return load_file(GOLDENS / "transformers_small_outputs.safetensors")


@cache
def model() -> Sam3ImageModel:
    return load_with_report(FOLDER)[0].detector


def box_prompt() -> GeometryPrompt:
    boxes, labels = theirs()["in.boxes"], theirs()["in.box_labels"]
    none = torch.zeros(len(boxes), 0)
    return GeometryPrompt(
        boxes, labels.clamp(min=0), labels == PADDING, torch.zeros(len(boxes), 0, 2), none.long(), none.bool()
    )


@pytest.mark.parametrize("case", ["text", "boxes"])
@torch.no_grad()
def test_outputs_are_the_same(case: str) -> None:
    expected = {name.removeprefix(f"{case}."): x for name, x in theirs().items() if name.startswith(f"{case}.")}
    index = torch.arange(2)
    features = model().encode_image(theirs()["in.pixels"] / 127.5 - 1)
    text = model().encode_text(theirs()["in.ids"])
    if case == "text":  # without boxes, transformers has no class token, unlike the release
        geometry = PromptTokens(text.tokens[:, :0], text.mask[:, :0])
    else:
        geometry = model().encode_geometry(box_prompt(), features, index)
    grounding = model().fuse_and_decode(features, text, geometry, index)
    prompt = PromptTokens(grounding.prompt, grounding.prompt_mask)
    pixels = model().segmentation.pixels(grounding.memory, prompt, features, index)
    masks, semantic = model().segmentation.masks_and_semantic(grounding.queries, pixels)
    actual = {
        "pred_logits": grounding.logits,
        "pred_boxes": cxcywh_to_xyxy(grounding.boxes),
        "pred_masks": masks,
        "presence_logits": grounding.presence.unsqueeze(-1),
        "semantic_seg": semantic,
    }
    assert actual.keys() == expected.keys()
    for name, found in actual.items():
        assert expected[name].std() > 0.02, f"{name} is constant"
        torch.testing.assert_close(found, expected[name], atol=1e-4, rtol=0, msg=lambda text, n=name: f"{n}: {text}")


def test_every_tensor_is_accounted_for() -> None:
    _, report = load_with_report(FOLDER)
    assert report.layout is Layout.TRANSFORMERS and report.unused == 0
    assert report.absent and all(name.startswith("detector.geometry.points_") for name in report.absent)


def test_sizes_come_from_the_config_file() -> None:
    config = model().config
    vision, decoder = (
        json.loads((FOLDER / "config.json").read_text())[f"{n}_config"] for n in ("vision", "detr_decoder")
    )
    vit = vision["backbone_config"]
    assert (config.vit.width, config.vit.depth, config.vit.image_size) == (36, vit["num_hidden_layers"], 112)
    assert model().vision.trunk.blocks[0].mlp.fc1.out_features == vit["intermediate_size"]
    assert config.scoring.hidden == decoder["intermediate_size"], "transformers has no field for it"


def test_export_gives_the_original_tensors(tmp_path: Path) -> None:
    save_transformers(model(), tmp_path)
    ours, original = (load_file(folder / "model.safetensors") for folder in (tmp_path, FOLDER))
    known = {name: x for name, x in ours.items() if not name.startswith(EXTRA_PREFIX)}
    assert known.keys() == original.keys()
    assert all(torch.equal(known[name], x) for name, x in original.items())


def test_exported_config_equals_the_original(tmp_path: Path) -> None:
    """Every field that we write has the value that transformers wrote for this model."""
    save_transformers(model(), tmp_path)
    ours, original = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path, FOLDER))

    def compare(mine: object, other: object, where: str) -> None:
        if isinstance(mine, dict):
            for key, value in mine.items():
                assert isinstance(other, dict) and key in other, f"{where}.{key} is unknown to transformers"
                compare(value, other[key], f"{where}.{key}")
        else:
            assert mine == other, where

    compare(ours, original, "config")


def test_transformers_opens_our_export(tmp_path: Path) -> None:
    from transformers.models.sam3.modeling_sam3 import Sam3Model  # this import path does not require torchvision

    save_transformers(model(), tmp_path)
    opened, info = Sam3Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"]
    assert all(name.startswith(EXTRA_PREFIX) for name in info["unexpected_keys"])
    original = load_file(FOLDER / "model.safetensors")
    assert all(torch.equal(x, original[name]) for name, x in opened.state_dict().items() if name in original)
