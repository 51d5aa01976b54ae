"""Samples, each with its kind, and predictions, which `evals.sample_runners` makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from PIL import Image

TargetT = TypeVar("TargetT")
Rle = Mapping[str, Any]
SampleKind = Literal["image-phrase", "image-question", "video"]


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """One split of a data set on disk. root: its folder, laid out as in the official download."""

    root: Path
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class PhraseSample(Generic[TargetT]):
    """One image with all its phrases. key: unique in the split; open_image: returns the image, upright and in RGB."""

    kind: ClassVar[Literal["image-phrase"]] = "image-phrase"
    key: str
    open_image: Callable[[], "Image.Image"]
    phrases: tuple[str, ...]
    target: TargetT


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSample(Generic[TargetT]):
    """One question about one image."""

    kind: ClassVar[Literal["image-question"]] = "image-question"
    key: str
    open_image: Callable[[], "Image.Image"]
    question: str
    target: TargetT


@dataclass(frozen=True, slots=True, eq=False)
class VideoSample(Generic[TargetT]):
    """One video with all its phrases. frames: number of frames; open_frame: returns frame t, upright and in RGB."""

    kind: ClassVar[Literal["video"]] = "video"
    key: str
    frames: int
    open_frame: Callable[[int], "Image.Image"]
    phrases: tuple[str, ...]
    target: TargetT


Sample = PhraseSample[Any] | QuestionSample[Any] | VideoSample[Any]


@dataclass(frozen=True, slots=True)
class Detection:
    """One predicted instance. score: 0 to 1; box: xywh in pixels; mask: COCO RLE."""

    score: float
    box: tuple[float, float, float, float]
    mask: Rle


@dataclass(frozen=True, slots=True)
class PhrasePrediction:
    """Prediction for a `PhraseSample`: the detections of each phrase, in the order of `sample.phrases`."""

    phrases: tuple[str, ...]
    detections: tuple[tuple[Detection, ...], ...]


@dataclass(frozen=True, slots=True)
class QuestionPrediction:
    """Prediction for a `QuestionSample`. status: answered, no_match or exhausted (with the best answer so far).

    size: height and width of the image. trace: folder of the agent's trace, relative to the run's folder.
    """

    question: str
    status: str
    size: tuple[int, int]
    detections: tuple[Detection, ...]
    mllm_calls: int = 0
    segmenter_calls: int = 0
    tokens: int = 0
    trace: str | None = None


Prediction = PhrasePrediction | QuestionPrediction
"""There is no type for predictions on a `VideoSample` yet, because there is no runner."""
