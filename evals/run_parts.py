"""What a run of a benchmark is made of: samples, runner and scorer, and what identifies the run."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.benchmark_types import (
    AnyBenchmark,
    ClickBenchmark,
    MaskletBenchmark,
    PhraseBenchmark,
    QuestionBenchmark,
    Samples,
    Scorer,
    VideoBenchmark,
    asks_agent,
)
from evals.samples import DatasetSplit
from evals.weights_hash import modified, weights_hash

if TYPE_CHECKING:
    from evals.click_runner import ImagePredicting
    from evals.sample_runners import SampleRunner
    from evals.video.masklet_runner import MaskletMethod
    from sam3agent.config import Settings
    from sam3agent.mllm.base import MLLM
    from sam3agent.segmenter import Segmenter

METHODS = ("tracker", "repeat", "detections")
"""Methods of a `MaskletBenchmark`: the tracker and its baselines."""


@dataclass(frozen=True, slots=True)
class Models:
    """Replacements for the models that the flags name; None: as the flags say."""

    segmenter: "Segmenter | None" = None
    backend: "MLLM | None" = None
    predictor: "Any | None" = None
    image_predictor: "ImagePredicting | None" = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A benchmark to run, with the flags of the user. method: of a `MaskletBenchmark`, else ""."""

    benchmark: AnyBenchmark
    dataset: DatasetSplit
    flags: argparse.Namespace
    settings: "Settings"
    folder: Path
    method: str = ""


class RunParts(NamedTuple):
    """What a run is made of. weights: name of the model's weights."""

    samples: Samples[Any]
    runner: "SampleRunner[Any]"
    scorer: Callable[[], Scorer]
    weights: str


def make_parts(request: RunRequest, models: Models) -> RunParts:
    """Samples, runner and scorer. Raises `ConfigError` if the weights lack a part that the benchmark needs."""
    benchmark, dataset, settings = request.benchmark, request.dataset, request.settings
    if isinstance(benchmark, VideoBenchmark):
        return _video_parts(benchmark, request, models)
    if isinstance(benchmark, MaskletBenchmark):
        from evals.video.masklet_runner import MaskletRunner

        runner = MaskletRunner(_method(request, models), settings.weights, request.flags.protocol)
        return RunParts(benchmark.read(dataset), runner, benchmark.scorer, settings.weights)
    if isinstance(benchmark, ClickBenchmark):
        from evals.click_runner import ClickRunner, load_image_predictor

        predictor = models.image_predictor or load_image_predictor(settings, clicks=True)
        return RunParts(
            benchmark.read(dataset), ClickRunner(predictor, settings.weights), benchmark.scorer, settings.weights
        )
    return _segmenter_parts(benchmark, request, models)


def _video_parts(benchmark: VideoBenchmark, request: RunRequest, models: Models) -> RunParts:
    from evals.video.video_runner import VideoRunner, load_predictor
    from evals.video.video_scorer import PREDICTIONS, VideoScorer, video_samples

    if benchmark.questions:
        return _expression_parts(benchmark, request, models)
    videos, weights = video_samples(benchmark, request.dataset), request.settings.weights
    runner = VideoRunner(models.predictor or load_predictor(request.settings), weights)
    scorer = partial(VideoScorer, benchmark, request.dataset, request.folder / PREDICTIONS)
    return RunParts(videos, runner, scorer, weights)


def _expression_parts(benchmark: VideoBenchmark, request: RunRequest, models: Models) -> RunParts:
    from evals.video.expression_runs import ExpressionRunner
    from evals.video.video_scorer import PREDICTIONS, VideoScorer, video_samples
    from sam3agent.api import Agent

    agent = Agent.from_settings(request.settings)
    if models.segmenter is not None:
        agent.segmenter = models.segmenter
    if models.predictor is not None:
        agent.tracker = models.predictor
    if models.backend is not None:
        agent.backend = models.backend
    runner = ExpressionRunner(agent, request.folder, request.flags.keep_images)
    scorer = partial(VideoScorer, benchmark, request.dataset, request.folder / PREDICTIONS)
    return RunParts(video_samples(benchmark, request.dataset), runner, scorer, agent.segmenter.name)


def _segmenter_parts(benchmark: PhraseBenchmark | QuestionBenchmark, request: RunRequest, models: Models) -> RunParts:
    from evals.sample_runners import make_runner
    from sam3agent.api import make_segmenter

    own = benchmark.segmenter if isinstance(benchmark, QuestionBenchmark) and request.flags.weights is None else None
    segmenter = models.segmenter or (own or partial(make_segmenter, request.settings))()
    keep_images = getattr(request.flags, "keep_images", False)
    threshold = request.flags.threshold if isinstance(benchmark, PhraseBenchmark) else None
    tracker = benchmark.tracker() if own and isinstance(benchmark, QuestionBenchmark) and benchmark.tracker else None
    runner = make_runner(
        benchmark, segmenter, request.settings, request.folder, models.backend, keep_images, threshold, tracker
    )
    return RunParts(benchmark.read(request.dataset), runner, benchmark.scorer, segmenter.name)


def _method(request: RunRequest, models: Models) -> "MaskletMethod":
    from evals.click_runner import load_image_predictor
    from evals.video.clip_baselines import DetectionMethod, RepeatMethod
    from evals.video.clip_tracking import TrackerMethod
    from evals.video.video_runner import load_predictor

    if request.method == "tracker":
        return TrackerMethod(models.predictor or load_predictor(request.settings))
    clicks = "click" in request.flags.protocol
    predictor = models.image_predictor or load_image_predictor(request.settings, clicks=clicks)
    return RepeatMethod(predictor) if request.method == "repeat" else DetectionMethod(predictor)


def run_identity(request: RunRequest, weights: str) -> dict[str, Any]:
    """What must be equal for a run to be resumed."""
    benchmark, flags = request.benchmark, request.flags
    identity = {
        "benchmark": benchmark.name,
        "split": request.dataset.split,
        "root": str(request.dataset.root) if benchmark.files else "",
        "weights": weights,
        "weights_file": weights_hash(weights),
        "dtype": request.settings.dtype,
        "max_calls": request.settings.max_calls,
        "shard": flags.shard,
    }
    if isinstance(benchmark, PhraseBenchmark):
        identity["threshold"] = flags.threshold
    if asks_agent(benchmark):
        own = request.settings
        identity |= {"threshold": own.threshold, "max_seconds": own.max_seconds}
        identity["max_segmenter_calls"] = own.max_segmenter_calls
        if own.backend != "rules":
            identity |= {"effort": own.effort, "without": own.without, **own.of_replies}
    if isinstance(benchmark, MaskletBenchmark):
        identity |= {"method": request.method, "protocols": list(flags.protocol)}
    return identity


def earlier_values(weights: str) -> dict[str, Any]:
    """Values of `run_identity` that older versions recorded in place of today's."""
    return {"weights_file": modified(weights)}
