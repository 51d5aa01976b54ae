"""The smallest random model that finds and follows something, for tests of sessions."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.gpu_setup import DETECTOR, INTERACTIVE, TRACKER
from sam3model.build import Sam3Model, build
from sam3model.config import PARTS, Sam3Config, VideoConfig
from sam3model.frame_results import FrameResult
from sam3model.tracker.group import TrackerParts
from sam3model.tracker.tracker_model import Tracker
from sam3model.video.session import VideoSession
from sam3model.video_predictor import Sam3VideoPredictor

RULES = VideoConfig(
    detection_score=0.3,
    new_object_score=0.3,
    detection_nms=0.5,
    hotstart_delay=4,
    hotstart_unmatched=100,
    hotstart_duplicate=100,
    recondition_every=0,
    hole_area=0,
    max_objects=4,
)

BUSY, STEADY = 0, 5
"""Seeds of a model whose objects come and go, and of one that keeps what it has found."""


@cache
def random_model(seed: int = 0) -> Sam3Model:
    """A model whose activations stay near one."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.no_grad():
        model = build(Sam3Config(DETECTOR, INTERACTIVE, TRACKER, RULES), parts=PARTS).eval()
        for name, tensor in model.state_dict().items():
            noise = torch.randn(tensor.shape, generator=generator)
            drawn = 1.4 * noise / tensor[0].numel() ** 0.5 if tensor.ndim > 1 else 0.1 * noise
            tensor.copy_(1 + drawn if tensor.ndim == 1 and name.endswith("weight") else drawn)
        model.detector.decoder.query_embed.weight.mul_(8)
    return model


def predictor(seed: int = 0, **tracker: Any) -> Sam3VideoPredictor:
    """A predictor of the random model, with other settings of the tracker (fields of `TrackerConfig`)."""
    model = random_model(seed)
    made = Sam3VideoPredictor(model)
    if tracker:
        assert model.tracker is not None and model.interactive is not None
        with torch.inference_mode(False):
            own = Tracker(DETECTOR, replace(TRACKER, **tracker)).eval()
            own.load_state_dict(model.tracker.state_dict())
        made._tracking = TrackerParts(model.interactive, own)
    return made


def clip(count: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> list[NDArray[np.uint8]]:
    """Discs that move over noise that drifts."""
    return list(frames(count, size, seed))


def frames(count: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """The frames of `clip`, one by one."""
    width, height = size
    random = np.random.RandomState(seed)
    ground = random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    y, x = np.mgrid[:height, :width]
    for t in range(count):
        frame = np.roll(ground, t % width, axis=1)
        for k, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
            centre = width * (0.5 + 0.4 * np.sin(0.05 * t + 2 * k)), height * (0.5 + 0.4 * np.cos(0.07 * t + k))
            frame[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (min(size) / 6) ** 2] = colour
        yield frame


def opened(source: Any, seed: int = 0, tracker: dict[str, Any] | None = None, **rules: Any) -> VideoSession:
    """A session of the random model."""
    return predictor(seed, **(tracker or {})).open(source, **rules)


def live(seed: int = 0, tracker: dict[str, Any] | None = None, **rules: Any) -> VideoSession:
    """A live session of the random model."""
    return predictor(seed, **(tracker or {})).open_live(**rules)


def summary(results: list[FrameResult]) -> list[tuple[Any, ...]]:
    """Results in a form that can be compared."""
    return [
        (one.frame, one.time, one.ids.tolist(), one.phrases, [mask["counts"] for mask in one.masks]) for one in results
    ]


def shown(results: list[FrameResult]) -> list[int]:
    """Numbers of the frames of results."""
    return [one.frame for one in results]


def started(count: int = 24, seed: int = STEADY, **rules: Any) -> VideoSession:
    """A session in which a phrase was asked for."""
    session = opened(clip(count), seed, **rules)
    session.add_phrases(["red ball"])
    return session


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, at: int) -> None:
    """Let call number `at` of a method fail before it does anything."""
    original, calls = getattr(owner, name), iter(range(10**6))

    def method(*args: Any, **named: Any) -> Any:
        if next(calls) == at:
            raise RuntimeError("out of memory")
        return original(*args, **named)

    monkeypatch.setattr(owner, name, method)
