"""Scores the predictions of a run on videos: they are written in the official layout, and scored from there."""

from pathlib import Path
from typing import Any

from evals.benchmark_types import Figures, Samples, VideoBenchmark, VideoReading
from evals.samples import DatasetSplit, VideoPrediction, VideoSample
from sam3model.errors import ConfigError, DataError, MetricError

PREDICTIONS = "predictions"
"""Folder, inside that of a run, with the predictions in the official layout."""


class VideoScorer:
    """A `Scorer` that writes every prediction to a folder at once, so that memory does not grow with the videos."""

    def __init__(self, benchmark: VideoBenchmark, dataset: DatasetSplit, folder: Path) -> None:
        """Raises `ConfigError` if the benchmark only scores predictions made elsewhere."""
        self._reading = _reading(benchmark)
        self._dataset = dataset
        self._writer = self._reading.writer(dataset, folder)
        self._videos: set[str] = set()

    def update(self, sample: VideoSample[Any], prediction: VideoPrediction) -> None:
        """Write the prediction of a video. Raises `DataError` if it does not fit the benchmark."""
        self._writer.add(sample, prediction)
        self._videos.add(sample.key)

    def compute(self) -> Figures:
        """The figures over the videos so far. Raises `DataError` if the ground truth is not public."""
        if not self._videos:
            raise MetricError("no video was predicted")
        written = self._writer.close()
        try:
            return self._reading.score(self._dataset, written, self._videos)
        except DataError as error:
            raise DataError(f"the predictions are complete, in {written}, but cannot be scored: {error}") from error


def video_samples(benchmark: VideoBenchmark, dataset: DatasetSplit) -> Samples[VideoSample[Any]]:
    """The videos of a split. Raises `ConfigError` as `VideoScorer`, `DataError` if the files are unusable."""
    return _reading(benchmark).read(dataset)


def _reading(benchmark: VideoBenchmark) -> VideoReading:
    if benchmark.run is None:
        raise ConfigError(
            f"{benchmark.name}: only predictions made elsewhere can be scored; pass them as --predictions "
            f"(see `python -m evals list {benchmark.name}`)"
        )
    return benchmark.run
