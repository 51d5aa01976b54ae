"""What a benchmark is, and the types that travel through one.

    Source -> read -> samples -> segmenter or agent -> predictions -> scorer -> figures

How to add a benchmark
1. Write a reader in `evals/readers/` (videos: `evals/video/`): it turns a `Source` (root folder, split) into a sequence
   of `PhraseSample` or `QuestionSample`. Files are hostile: use `evals.files`, which checks paths and sizes; whatever
   does not fit the format is a `DataError` that names the file and the field. The picture is a callable, opened only
   when a prediction is really to be made.
2. Give it a scorer (`evals/scorers/`): `update(sample, prediction)` once per sample, `compute()` at the end. `truth` of
   a sample is whatever this scorer wants to compare with.
3. Register it: a `PhraseBenchmark` (noun phrases straight to the segmenter), a `QuestionBenchmark` (questions to the
   agent), or a `PredictionBenchmark` (a folder of predictions made elsewhere) in `evals/benchmarks.py`, or in
   `BENCHMARKS` of `evals/video/__init__.py`. Published figures go into `evals/published.py`, under the same names.
4. Test it in `tests/evals/` on a miniature in the official layout, with figures computed by hand.

Figures are in percent, except correlations (IL_MCC, -1..1) and whole numbers (counts). A figure that is not defined is
nan, or the -1 of COCO's AP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from PIL import Image

Truth = TypeVar("Truth")
Sample = TypeVar("Sample", bound="PhraseSample[Any] | QuestionSample[Any]")
Figures = Mapping[str, float]
Rle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set lies. root: its folder, as the official download unpacks; split: one of the benchmark's."""

    root: Path
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class PhraseSample(Generic[Truth]):
    """One picture with all its phrases. key: unique in the split; picture: opens it as upright RGB."""

    key: str
    picture: Callable[[], "Image.Image"]
    phrases: tuple[str, ...]
    truth: Truth


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSample(Generic[Truth]):
    """One question about one picture."""

    key: str
    picture: Callable[[], "Image.Image"]
    question: str
    truth: Truth


@dataclass(frozen=True, slots=True)
class Detection:
    """One instance found. score 0..1; box xywh in pixels; mask as COCO RLE."""

    score: float
    box: tuple[float, float, float, float]
    mask: Rle


@dataclass(frozen=True, slots=True)
class Found:
    """Prediction of a `PhraseSample`: the detections of each phrase, in the order of `sample.phrases`."""

    phrases: tuple[str, ...]
    detections: tuple[tuple[Detection, ...], ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Prediction of a `QuestionSample`. status: answered, no_match or exhausted (then: the best so far).

    size: height and width of the picture. trace: folder of the agent's trace, relative to the run's.
    """

    question: str
    status: str
    size: tuple[int, int]
    detections: tuple[Detection, ...]
    mllm_calls: int = 0
    segmenter_calls: int = 0
    tokens: int = 0
    trace: str | None = None


class Scorer(Protocol):
    """Collects samples with their predictions, in any order, each once."""

    def update(self, sample: Any, prediction: Any) -> None:
        """Add a sample; raises `MetricError` where truth and prediction cannot be compared."""
        ...

    def compute(self) -> Figures:
        """The figures, headline first; raises `MetricError` where there is nothing to score."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """A figure that others have reported. split None: the default one; source: where it is written."""

    system: str
    figures: Figures
    source: str
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What every benchmark has.

    splits: the first is the default. files: what lies under the root (empty: none is needed). get: how to get it.
    headline: the figures to show first; the others follow in the scorer's order.
    """

    name: str
    title: str
    splits: tuple[str, ...]
    files: tuple[str, ...]
    get: str
    headline: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseBenchmark(Benchmark):
    """Noun phrases on pictures, straight to the segmenter. threshold: least score asked for."""

    read: Callable[[Source], Sequence[PhraseSample[Any]]]
    scorer: Callable[[], Scorer]
    threshold: float = 0.5
    task: Literal["phrases"] = "phrases"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionBenchmark(Benchmark):
    """Questions to the agent, with any MLLM backend."""

    read: Callable[[Source], Sequence[QuestionSample[Any]]]
    scorer: Callable[[], Scorer]
    task: Literal["questions"] = "questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionBenchmark(Benchmark):
    """Predictions that lie in a folder or file already. score: truth and that path -> figures, the headline first.

    layout: what the predictions have to look like, in a line.
    """

    score: Callable[[Source, Path], Figures]
    layout: str
    task: Literal["predictions"] = "predictions"


AnyBenchmark = PhraseBenchmark | QuestionBenchmark | PredictionBenchmark
