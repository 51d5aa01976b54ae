"""The reduced model of the video reference numbers, and readers of their files (see tests/goldens/README.md)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sam3model.config import (
    DecoderConfig,
    DetectorConfig,
    FusionConfig,
    GeometryConfig,
    InteractiveConfig,
    ScoringConfig,
    TextConfig,
    TrackerConfig,
    ViTConfig,
)
from tests.model import weight_rule

FOLDER = Path(__file__).parent.parent / "goldens" / "video"
PREFIXES = {
    "interactive.prompt_encoder.": "tracker.sam_prompt_encoder.",
    "interactive.mask_decoder.": "tracker.sam_mask_decoder.",
    "interactive.": "tracker.",
    "tracker.memory_encoder.": "tracker.maskmem_backbone.",
    "tracker.memory_attention.": "tracker.transformer.encoder.",
    "tracker.": "tracker.",
}


@cache
def record(name: str) -> dict[str, Any]:
    """The JSON file of a set, e.g. "tracker_small"."""
    return json.loads((FOLDER / f"{name}.json").read_text())


class Arrays:
    """The arrays of a set as tensors, and its packed masks."""

    def __init__(self, name: str) -> None:
        self._file = np.load(FOLDER / f"{name}.npz")
        self._shapes = record(name).get("bits_shape", {})

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(self._file[key])

    def __contains__(self, key: str) -> bool:
        return key in self._file

    def bits(self, key: str) -> np.ndarray:
        """A packed mask as booleans."""
        shape = self._shapes[key]
        return np.unpackbits(self._file[key])[: int(np.prod(shape))].reshape(shape).astype(bool)


@cache
def arrays(name: str) -> Arrays:
    """The arrays of a set."""
    return Arrays(name)


def detector_config() -> DetectorConfig:
    """The reduced detector."""
    return DetectorConfig(
        d_model=64,
        heads=8,
        dropout=0.0,
        vit=ViTConfig(
            image_size=168, pretrain_image_size=56, width=64, depth=4, heads=4, window=4, global_blocks=(1, 3)
        ),
        text=TextConfig(width=64, heads=4, layers=2, context_length=32, projection_dim=64),
        geometry=GeometryConfig(layers=1, ffn=128),
        fusion=FusionConfig(layers=2, ffn=128),
        decoder=DecoderConfig(layers=2, ffn=128, queries=16),
        scoring=ScoringConfig(hidden=128),
    )


INTERACTIVE = InteractiveConfig()
TRACKER = TrackerConfig(memory_dim=16, ffn=128, dropout=0.0)


def official(name: str) -> str:
    """The official checkpoint name of a tensor of `Sam3Model`."""
    for native, prefix in PREFIXES.items():
        if name.startswith(native):
            return prefix + name.removeprefix(native)
    return weight_rule.official_name(name)


@torch.no_grad()
def fill(module: nn.Module, prefix: str, name: str) -> nn.Module:
    """Fill a part ("interactive.", ...) with the weights of a set, in place, in evaluation mode."""
    notes = record(name)
    for key, value in module.state_dict().items():
        full = official(prefix + key)
        drawn = weight_rule.draw_plain(full, tuple(value.shape), notes["salt"])
        if value.ndim >= 2:
            drawn = drawn * notes["weight_factor"]
        if full == "detector.transformer.decoder.query_embed.weight":
            drawn = drawn * notes.get("query_embed_factor", 1.0)
        value.copy_(drawn)
    return module.eval()


def pixels_of(frames: Tensor) -> Tensor:
    """Frames (F, S, S, 3) uint8 -> model input (F, 3, S, S)."""
    return (frames.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
