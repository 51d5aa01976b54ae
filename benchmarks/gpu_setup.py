"""What the steps of `benchmarks.gpu` run on, and clocks that wait for the device."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.random_models import randomise
from sam3model.build import Sam3Model, build, no_memory
from sam3model.config import (
    DecoderConfig,
    DetectorConfig,
    FusionConfig,
    GeometryConfig,
    InteractiveConfig,
    Sam3Config,
    ScoringConfig,
    TextConfig,
    TrackerConfig,
    VideoConfig,
    ViTConfig,
)

Size = Literal["released", "small"]
PHRASES = ("player in white", "red ball", "goalkeeper", "referee", "corner flag")

DETECTOR = DetectorConfig(
    d_model=32,
    heads=4,
    dropout=0.0,
    vit=ViTConfig(image_size=112, pretrain_image_size=56, width=32, depth=2, heads=4, window=4, global_blocks=(1,)),
    text=TextConfig(width=32, heads=4, layers=1, context_length=16, projection_dim=32),
    geometry=GeometryConfig(layers=1, ffn=64),
    fusion=FusionConfig(layers=1, ffn=64),
    decoder=DecoderConfig(layers=1, ffn=64, queries=8),
    scoring=ScoringConfig(hidden=64),
)
INTERACTIVE = InteractiveConfig(heads=4, mlp=64, iou_hidden=32)
TRACKER = TrackerConfig(memory_dim=16, layers=1, ffn=64, dropout=0.0)
"""The parts of a model that runs in a moment anywhere."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a step runs on. clip: width and height. repeats: of every timing."""

    device: torch.device
    size: Size
    clip: tuple[int, int]
    repeats: int

    @classmethod
    def of(cls, device: str, size: Size) -> "Setting":
        """The setting for a device and a size."""
        released = size == "released"
        return cls(torch.device(device), size, (1280, 720) if released else (64, 48), 10 if released else 2)

    @property
    def config(self) -> Sam3Config:
        """Sizes of the released model, or of one that runs in a moment anywhere."""
        if self.size == "released":
            return Sam3Config(DetectorConfig(), InteractiveConfig(), TrackerConfig(), VideoConfig())
        return Sam3Config(DETECTOR, INTERACTIVE, TRACKER, VideoConfig())

    def model(self, dtype: torch.dtype = torch.float32, parts: tuple[str, ...] | None = None) -> Sam3Model:
        """A model on the device in this precision; None: with all its parts."""
        with no_memory():
            model = build(self.config, parts=parts)
        model = model.to(dtype).to_empty(device=self.device).eval()
        randomise(model, buffers=True)
        return model

    def image(self, number: int = 0) -> np.ndarray:
        """An image (H, W, 3): noise in tiles, so that resizing does not level it."""
        width, height = self.clip
        tiles = np.random.default_rng(number).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        return tiles.repeat(8, 0).repeat(8, 1)[:height, :width]

    def images(self) -> list[np.ndarray]:
        """An image for every run of `milliseconds`."""
        return [self.image(number) for number in range(self.repeats + 2)]


def wait(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def milliseconds(setting: Setting, work: Callable[[int], Any], repeats: int | None = None) -> float:
    """Median time of `work`, which gets the number of the run. The first runs do not count: -2 and -1."""
    times = []
    for number in range(-2, repeats or setting.repeats):
        wait(setting.device)
        start = time.perf_counter()
        work(number)
        wait(setting.device)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def peak_gigabytes(setting: Setting) -> float:
    """Highest memory that tensors took on the device since the last call; NaN on a CPU."""
    if setting.device.type != "cuda":
        return float("nan")
    peak = torch.cuda.max_memory_allocated(setting.device) / 1e9
    torch.cuda.reset_peak_memory_stats(setting.device)
    return peak
