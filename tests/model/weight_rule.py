"""Weights drawn by a rule, so that tests against reference numbers need no weight files.

The generator's seed is the CRC-32 of the official checkpoint name plus a salt; a few families of parameters are scaled
so that activations keep their size at any depth.
"""

import json
import zlib
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sam3model.config import (
    DecoderConfig,
    DetectorConfig,
    FusionConfig,
    GeometryConfig,
    NeckConfig,
    ScoringConfig,
    SegmentationConfig,
    TextConfig,
    ViTConfig,
)

GOLDENS = Path(__file__).parent.parent / "goldens"

PREFIXES = {
    "vision.trunk.": "detector.backbone.vision_backbone.trunk.",
    "vision.neck.detection.": "detector.backbone.vision_backbone.convs.",
    "vision.neck.interactive.": "detector.backbone.vision_backbone.sam2_convs.",
    "vision.neck.propagation.": "detector.backbone.vision_backbone.propagation_convs.",
    "text.": "detector.backbone.language_backbone.",
    "geometry.": "detector.geometry_encoder.",
    "fusion.": "detector.transformer.encoder.",
    "decoder.": "detector.transformer.decoder.",
    "scoring.": "detector.dot_prod_scoring.",
    "segmentation.": "detector.segmentation_head.",
}

UNIT_TABLES = (
    "query_embed.weight",
    "reference_points.weight",
    "presence_token.weight",
    "label_embed.weight",
    "cls_embed.weight",
    "token_embedding.weight",
    "positional_embedding",
    "pos_embed",
)
RESIDUAL_EXITS = (
    "out_proj.weight",
    "attn.proj.weight",
    "fc2.weight",
    "linear2.weight",
    "c_proj.weight",
    "bbox_embed.layers.2.weight",
)


def official_name(name: str) -> str:
    """The official checkpoint name of a parameter of `Sam3ImageModel`, or of `Sam3Model`."""
    name = name.removeprefix("detector.")
    for native, official in PREFIXES.items():
        if name.startswith(native):
            return official + name.removeprefix(native)
    raise KeyError(name)


def draw_plain(key: str, shape: tuple[int, ...], salt: int) -> Tensor:
    """The float32 tensor for an official key, without the scales of `draw`."""
    generator = np.random.RandomState((zlib.crc32(key.encode()) + salt) % 2**32)
    noise = torch.from_numpy(generator.standard_normal(shape).astype(np.float32))
    offset = 1 if key.endswith("weight") else 0
    return noise / np.sqrt(prod(shape[1:])) if len(shape) > 1 else offset + 0.1 * noise


def draw(key: str, shape: tuple[int, ...], salt: int) -> Tensor:
    """The float32 tensor for an official key."""
    value = draw_plain(key, shape, salt)
    if key.endswith(UNIT_TABLES):
        return value * float(np.float32(np.sqrt(shape[-1])))
    return value * 0.3 if key.endswith(RESIDUAL_EXITS) else value


@torch.no_grad()
def fill(module: nn.Module, prefix: str = "", salt: int | None = None) -> nn.Module:
    """Fill a module in place, in evaluation mode; `prefix` is its place in `Sam3ImageModel`, such as "text."."""
    salt = small_record()["salt"] if salt is None else salt
    for name, parameter in module.named_parameters():
        parameter.copy_(draw(official_name(prefix + name), tuple(parameter.shape), salt))
    return module.eval()


@cache
def small_record() -> dict[str, Any]:
    """`image_small.json`: configuration, texts, weight checks."""
    return json.loads((GOLDENS / "image_small.json").read_text())


@cache
def golden(name: str = "image_small") -> dict[str, Tensor]:
    """All tensors of a reference file, as normal tensors even if first read in inference mode."""
    with torch.inference_mode(False):
        return load_file(GOLDENS / f"{name}.safetensors")


def small_config() -> DetectorConfig:
    """The reduced model of the `image_small` files, without dropout."""
    return DetectorConfig(
        d_model=64,
        heads=8,
        dropout=0.0,
        vit=ViTConfig(
            image_size=168,
            pretrain_image_size=56,
            width=64,
            depth=4,
            heads=4,
            window=4,
            global_blocks=(1, 3),
            drop_path=0.0,
        ),
        neck=NeckConfig(),
        text=TextConfig(width=64, heads=4, layers=3),
        geometry=GeometryConfig(layers=2, ffn=128),
        fusion=FusionConfig(layers=2, ffn=128),
        decoder=DecoderConfig(layers=3, ffn=128, queries=20),
        scoring=ScoringConfig(hidden=128),
        segmentation=SegmentationConfig(),
    )


def assert_matches(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Assert |difference| <= tolerance * max(1, standard deviation), as the golden format suggests."""
    assert actual.shape == expected.shape
    bound = tolerance * max(1.0, expected.float().std().item())
    worst = (actual.float() - expected.float()).abs().max().item()
    assert worst <= bound, f"largest difference {worst:.3g}, allowed {bound:.3g}"
