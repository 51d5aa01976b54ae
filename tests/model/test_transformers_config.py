"""Every field of our configuration either means the same in transformers' `config.json`, or is refused by name."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sam3model.checkpoint import load, save_transformers
from sam3model.config import DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError, ConfigError
from sam3model.ops.boxes import cxcywh_to_xyxy
from sam3model.parse import merge, parse
from sam3model.structures import PromptTokens
from tests.model.weight_rule import fill

BASE: dict[str, Any] = {
    "d_model": 32,
    "heads": 4,
    "vit": {
        "image_size": 56, "patch_size": 14, "pretrain_image_size": 28, "width": 32, "depth": 2, "heads": 4,
        "mlp_ratio": 2.0, "window": 2, "global_blocks": [1],
    },
    "text": {"width": 32, "heads": 4, "layers": 1, "context_length": 8, "vocabulary": 50, "projection_dim": 12},
    "geometry": {"layers": 1, "ffn": 40, "roi_size": 3},
    "fusion": {"layers": 1, "ffn": 48},
    "decoder": {"layers": 2, "ffn": 56, "queries": 6},
    "scoring": {"hidden": 56},
}  # fmt: skip
HONOURED: dict[str, Any] = {
    "d_model": 64, "heads": 2, "dropout": 0.2, "nms": 0.5,
    "vit.image_size": 112, "vit.patch_size": 7, "vit.pretrain_image_size": 42, "vit.width": 64, "vit.depth": 2,
    "vit.heads": 2, "vit.mlp_ratio": 1.5, "vit.window": 4, "vit.global_blocks": [0, 1], "vit.rope_theta": 100.0,
    "vit.drop_path": 0.3, "vit.layer_norm_eps": 0.1,
    "neck.scale_factors": [2.0, 1.0, 1.0], "neck.interactive": None, "neck.propagation": {"dropped_levels": 0},
    "text.width": 64, "text.heads": 2, "text.layers": 2, "text.mlp_ratio": 2.0, "text.context_length": 10,
    "text.vocabulary": 60, "text.projection_dim": 20, "text.layer_norm_eps": 0.1,
    "geometry.layers": 2, "geometry.ffn": 24, "geometry.roi_size": 2, "geometry.mask_encoder": True,
    "fusion.layers": 2, "fusion.ffn": 24, "decoder.layers": 3, "decoder.queries": 9, "decoder.one_to_many": False,
    "segmentation.stages": 2,
}  # fmt: skip
REFUSED: dict[str, Any] = {
    "segmentation.groups": 4, "scoring.clamp": 3.0, "scoring.hidden": 40, "decoder.ffn": 40, "text.layer_scale": 0.5,
    "neck.detection": {"dropped_levels": 0},
}  # fmt: skip


def changed(path: str, value: Any) -> DetectorConfig:
    for name in reversed(path.split(".")):
        value = {name: value}
    return parse(DetectorConfig, merge(BASE, value))


def model_of(config: DetectorConfig) -> Sam3ImageModel:
    model = fill(Sam3ImageModel(config), salt=7)
    assert isinstance(model, Sam3ImageModel)
    return model


def leaves(config: Any, prefix: str = "") -> Iterator[str]:
    for field in fields(config):
        value, path = getattr(config, field.name), prefix + field.name
        if is_dataclass(value) and not path.startswith("neck."):
            yield from leaves(value, f"{path}.")
        else:
            yield path


@torch.no_grad()
def ours(model: Sam3ImageModel, pixels: Tensor, ids: Tensor) -> dict[str, Tensor]:
    index = torch.arange(len(pixels))
    features, text = model.encode_image(pixels), model.encode_text(ids)
    none = PromptTokens(text.tokens[:, :0], text.mask[:, :0])  # transformers has no class token without boxes
    grounding = model.fuse_and_decode(features, text, none, index)
    return {
        "pred_logits": grounding.logits,
        "pred_boxes": cxcywh_to_xyxy(grounding.boxes),
        "presence_logits": grounding.presence.unsqueeze(-1),
        "pred_masks": model.decode_masks(grounding, features, index),
    }


@torch.no_grad()
def theirs(folder: Path, pixels: Tensor, ids: Tensor) -> dict[str, Tensor]:
    from transformers.models.sam3.modeling_sam3 import Sam3Model  # does not ask for torchvision if imported so

    model = Sam3Model.from_pretrained(folder).eval()
    outputs = model(pixel_values=pixels, input_ids=ids, attention_mask=(ids != 0).long())
    return {name: outputs[name] for name in ("pred_logits", "pred_boxes", "presence_logits", "pred_masks")}


def inputs(config: DetectorConfig) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(2, 3, config.vit.image_size, config.vit.image_size, generator=generator) * 2 - 1
    ids = torch.randint(1, config.text.vocabulary, (2, config.text.context_length), generator=generator)
    ids[1, 5:] = 0
    return pixels, ids


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}")


def test_every_field_is_tried() -> None:
    assert sorted(HONOURED | REFUSED) == sorted(leaves(DetectorConfig()))


@pytest.mark.parametrize("path", HONOURED)
def test_a_field_means_the_same_in_transformers(tmp_path: Path, path: str) -> None:
    config = changed(path, HONOURED[path])
    model = model_of(config)
    save_transformers(model, tmp_path)
    assert_same(ours(model, *inputs(config)), theirs(tmp_path, *inputs(config)))


@pytest.mark.parametrize("path", REFUSED)
def test_a_field_without_counterpart_is_refused(tmp_path: Path, path: str) -> None:
    named = "scoring.hidden" if path == "decoder.ffn" else path
    with pytest.raises(ConfigError, match=f"transformers supports only .*{named}"):
        save_transformers(model_of(changed(path, REFUSED[path])), tmp_path)
    assert not list(tmp_path.iterdir())


DETR_PARTS = ("geometry_encoder_config", "detr_encoder_config", "detr_decoder_config", "mask_decoder_config")
TRUNK = "vision_config.backbone_config"


def exported(folder: Path, path: str, value: Any) -> DetectorConfig:
    """Weights that only transformers describes, with one value of its `config.json` changed."""
    from safetensors.torch import load_file, save_file

    config = changed("nms", None)
    save_transformers(model_of(config), folder)
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors", {"format": "pt"})
    file = folder / "config.json"
    for name in reversed(path.split(".")):
        value = {name: value}
    file.write_text(json.dumps(merge(json.loads(file.read_text()), value)))
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"{part}.layer_norm_eps", 0.1) for part in (TRUNK, "text_config", "vision_config", *DETR_PARTS)),
        *((f"{part}.num_attention_heads", 2) for part in (TRUNK, "text_config")),
        (f"{TRUNK}.rope_parameters.rope_theta", 50.0),
    ],
)
def test_values_of_theirs_are_honoured(tmp_path: Path, path: str, value: Any) -> None:
    config = exported(tmp_path, path, value)
    assert_same(ours(load(tmp_path).detector, *inputs(config)), theirs(tmp_path, *inputs(config)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"{part}.num_attention_heads", 2) for part in DETR_PARTS if part != "detr_decoder_config"),
        *((f"{part}.hidden_act", "silu") for part in (TRUNK, "text_config", *DETR_PARTS[:3])),
        (f"{TRUNK}.rope_parameters.rope_type", "default"),
    ],
)
def test_values_of_theirs_without_counterpart_are_refused(tmp_path: Path, path: str, value: Any) -> None:
    exported(tmp_path, path, value)
    with pytest.raises(CheckpointError, match=f"{path} is {value!r}, but only .* is supported"):
        load(tmp_path)


def test_trunk_without_stated_eps_has_the_default_of_transformers(tmp_path: Path) -> None:
    config = exported(tmp_path, "nothing", 0)
    file = tmp_path / "config.json"
    values = json.loads(file.read_text())
    del values["vision_config"]["backbone_config"]["layer_norm_eps"]
    file.write_text(json.dumps(values))
    loaded = load(tmp_path)
    assert loaded.config.detector.vit.layer_norm_eps == 1e-6 != config.vit.layer_norm_eps
    assert_same(ours(loaded.detector, *inputs(config)), theirs(tmp_path, *inputs(config)))
