"""A model that follows objects, so small that a step takes milliseconds, with settings and clips for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam3model.data.clip_batch import ClipBatch, collate_clips
from sam3model.data.clip_sample import ClipSample
from sam3model.parse import merge, parse
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.clip_task import ClipTask
from sam3model.training.run import TrainingRun
from tests.training.conftest import TINY_MODEL

SIDE = 64
TRACKED = {
    "detector": TINY_MODEL | {"neck": {"scale_factors": [4.0, 2.0, 1.0, 0.5]}},
    "interactive": {"heads": 2, "mlp": 32, "mask_channels": 8, "iou_hidden": 16, "mask_width": 8},
    "tracker": {"memory_dim": 16, "memory_frames": 3, "layers": 1, "ffn": 32, "fuser_layers": 1, "max_pointers": 4},
}
CLIP_SETTINGS = {
    "name": "test",
    "precision": "float32",
    "log_every": 1,
    "model": {"preset": "sam3_tiny", "overrides": TRACKED},
    "data": {"source": "playground", "visits": 2, "workers": 0},
    "stages": [{"batch": 2, "frames": 3, "objects": 2, "mask_stride": 2}],
    "prompts": {"max_corrections": 2},
    "budget": {"steps": 4},
    "optim": {"lr": 1e-3},
    "schedule": {"kind": "constant", "warmup": 0},
    "ema": {"every": 1},
    "validation": {"clips": 2, "batch": 1, "frames": 3, "objects": 2, "corrections": 2, "examples": 1},
}


def clip_settings(folder: Path, **changes: Any) -> ClipTrainConfig:
    """The small settings, with changes and output below a folder."""
    return parse(ClipTrainConfig, merge(CLIP_SETTINGS | {"out": str(folder / "runs")}, changes))


def clip_run(config: ClipTrainConfig) -> TrainingRun:
    """A run of one process, new or resumed."""
    return TrainingRun(ClipTask(config))


def sliding_squares(number: int, frames: int = 3, objects: int = 2, stride: int = 2) -> ClipSample:
    """A clip of coloured squares on noise, which move to the right; the same for the same arguments."""
    rng = torch.Generator().manual_seed(number)
    pixels = 0.2 * torch.randn(frames, 3, SIDE, SIDE, generator=rng)
    masks = torch.zeros(frames, objects, SIDE, SIDE, dtype=torch.bool)
    for one in range(objects):
        colour = torch.rand(3, 1, 1, generator=rng) * 2 - 1
        left = int(torch.randint(0, 8, (), generator=rng))
        top = (SIDE // objects) * one + 4
        for frame in range(frames):
            where = slice(top, top + 20), slice(left + 6 * frame, left + 6 * frame + 20)
            pixels[frame][:, where[0], where[1]] += colour
            masks[frame, one][where] = True
    masks = masks[..., ::stride, ::stride].contiguous()
    return ClipSample(f"squares/{number}", pixels, masks, torch.ones(frames, objects, dtype=torch.bool))


def batch_of(*numbers: int, **shape: int) -> ClipBatch:
    """These clips of squares as one batch."""
    return collate_clips([(number, sliding_squares(number, **shape)) for number in numbers])


def without(batch: ClipBatch, **hidden: Tensor) -> ClipBatch:
    """The batch with other masks or annotations."""
    return replace(batch, **hidden)
