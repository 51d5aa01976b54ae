"""What a benchmark is.

    DatasetSplit -> read -> samples -> sample runner -> predictions -> scorer -> figures

How to add a benchmark
1. Write a reader in `evals/readers/` (videos: `evals/video/`) that turns a `DatasetSplit` into a sequence of samples
   (`evals/samples.py`). Do not trust the files: read them with `evals.dataset_files`, which checks paths and sizes.
   Raise `DataError` for anything that does not fit the format, naming file and field. `open_image` of a sample is only
   called when a prediction is needed.
2. Give it a scorer (`evals/scorers/`): `update(sample, prediction)` once per sample, then `compute()`. The scorer
   decides the type of `sample.target`. With `resample` (`evals/intervals.py`), its figures have confidence intervals.
3. Register it in `evals/benchmark_registry.py`: a `PhraseBenchmark` (noun phrases, predicted by the segmenter), a
   `QuestionBenchmark` (questions, answered by the agent), a `ClickBenchmark` (objects, segmented with simulated
   clicks), a `MaskletBenchmark` (clips in memory, with baselines) or, in `evals/video/__init__.py`, a `VideoBenchmark`
   (videos, predicted by the video predictor or elsewhere). Published figures go into `evals/published.py`, under the
   same names.
4. Test it in `tests/evals/` on a miniature in the official layout, with figures computed by hand.

Figures are percentages, except correlations (IL_MCC, -1 to 1), counts (integers) and identity switches (per clip). An
undefined figure is nan, or -1 for COCO's AP.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeGuard, TypeVar

from evals.samples import (
    ClickSample,
    DatasetSplit,
    MaskletSample,
    PhraseSample,
    QuestionSample,
    Sample,
    VideoSample,
)

if TYPE_CHECKING:
    from sam3agent.segmenter import Segmenter
    from sam3agent.tracker import ObjectTracker

Figures = Mapping[str, float]
SampleT_co = TypeVar("SampleT_co", bound=Sample, covariant=True)


def percent(value: float) -> float:
    """A fraction as a percentage; an undefined figure stays -1."""
    return value if value == -1 else 100 * value


class Samples(Protocol[SampleT_co]):
    """The samples of a split, in a fixed order; they may be read on access."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> SampleT_co: ...


class Scorer(Protocol):
    """Collects samples with their predictions, in any order, each once."""

    def update(self, sample: Any, prediction: Any) -> Mapping[str, float] | None:
        """Add a sample; returns its scores by name, if it has any of its own.

        Raises `MetricError` if target and prediction cannot be compared.
        """
        ...

    def compute(self) -> Figures:
        """The figures, headline first; raises `MetricError` if no sample was added."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """Figures reported by others, none if we could not read them.

    source: where they were published; split None: the benchmark's default split.
    """

    system: str
    figures: Figures
    source: str
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Fields of every benchmark.

    splits: the first is the default. files: expected under the root (empty: no download). get: where to download them.
    headline: the figures to show first; the others follow in the scorer's order.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    files: tuple[str, ...] = ()
    get: str
    headline: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoredPredictions:
    """Figures of predictions made elsewhere, their confidence intervals, and the number of samples."""

    figures: Figures
    intervals: Mapping[str, tuple[float, float]]
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseBenchmark(Benchmark):
    """Noun phrases on images, predicted by the segmenter.

    threshold: minimum score of a prediction. score: scores a file of predictions, with a number of resamples for the
    intervals; None if predictions made elsewhere cannot be scored. layout: of this file, in one line.
    """

    kind: ClassVar[Literal["image-phrase"]] = "image-phrase"
    read: Callable[[DatasetSplit], Samples[PhraseSample[Any]]]
    scorer: Callable[[], Scorer]
    threshold: float = 0.5
    score: Callable[[DatasetSplit, Path, int], ScoredPredictions] | None = None
    layout: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionBenchmark(Benchmark):
    """Questions about images, answered by the agent with any MLLM backend.

    segmenter, tracker: find the masks, also in clips, unless weights are named; None for the default weights.
    """

    kind: ClassVar[Literal["image-question"]] = "image-question"
    read: Callable[[DatasetSplit], Samples[QuestionSample[Any]]]
    scorer: Callable[[], Scorer]
    segmenter: "Callable[[], Segmenter] | None" = None
    tracker: "Callable[[], ObjectTracker] | None" = None


class PredictionWriter(Protocol):
    """Writes predictions of videos in the layout of the official evaluator."""

    def add(self, sample: Any, prediction: Any) -> None:
        """Write the prediction of one video."""
        ...

    def close(self) -> Path:
        """Finish; returns the folder or file with all predictions."""
        ...


@dataclass(frozen=True, slots=True)
class VideoReading:
    """How the model is run on a video benchmark.

    read: the samples. writer: writes predictions of a split to a folder. score: figures of some videos, by their keys.
    """

    read: Callable[[DatasetSplit], Samples[VideoSample[Any]]]
    writer: Callable[[DatasetSplit, Path], PredictionWriter]
    score: Callable[[DatasetSplit, Path, Collection[str]], Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoBenchmark(Benchmark):
    """Videos, predicted by the video predictor or with another tool.

    score: figures from the ground truth and a folder or file of predictions. layout: the layout of these predictions
    in one line. run: None if only predictions made elsewhere can be scored. questions: whether the one phrase of each
    sample is a question for the agent.
    """

    kind: ClassVar[Literal["video"]] = "video"
    score: Callable[[DatasetSplit, Path], Figures]
    layout: str
    run: VideoReading | None = None
    questions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickBenchmark(Benchmark):
    """Objects of images, segmented with simulated clicks by the image predictor."""

    kind: ClassVar[Literal["image-clicks"]] = "image-clicks"
    read: Callable[[DatasetSplit], Samples[ClickSample]]
    scorer: Callable[[], Scorer]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskletBenchmark(Benchmark):
    """Clips in memory, prompted with masks, clicks and phrases; predicted by the video predictor and by baselines."""

    kind: ClassVar[Literal["masklets"]] = "masklets"
    read: Callable[[DatasetSplit], Samples[MaskletSample]]
    scorer: Callable[[], Scorer]


AnyBenchmark = PhraseBenchmark | QuestionBenchmark | VideoBenchmark | ClickBenchmark | MaskletBenchmark


def asks_agent(benchmark: AnyBenchmark) -> TypeGuard[QuestionBenchmark | VideoBenchmark]:
    """Whether the agent predicts the samples, with any MLLM backend."""
    return isinstance(benchmark, QuestionBenchmark) or (isinstance(benchmark, VideoBenchmark) and benchmark.questions)


def scores_predictions(benchmark: AnyBenchmark) -> TypeGuard[PhraseBenchmark | VideoBenchmark]:
    """Whether predictions made elsewhere can be scored."""
    return isinstance(benchmark, VideoBenchmark | PhraseBenchmark) and benchmark.score is not None
