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
class PromptedMask:
    """One object of a video, given by its mask on frame number `frame`, the first one that shows it."""

    name: str
    frame: int
    mask: Rle


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """The files of a video, and what to follow in it.

    files: the frames in order. kept: numbers of the frames whose masks are needed. size: height and width of the
    annotations. objects: those given by masks. unseen: names of objects without any mask. overlapping: whether objects
    may share pixels.
    """

    files: tuple[Path, ...]
    kept: tuple[int, ...]
    size: tuple[int, int]
    objects: tuple[PromptedMask, ...] = ()
    unseen: tuple[str, ...] = ()
    overlapping: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class VideoSample(Generic[TargetT]):
    """One video with all its phrases, or, without phrases, with the objects that `load` returns.

    load: reads the files of the video; raises `DataError`, naming the file, if they are unusable. target: what the
    writer of predictions needs to know.
    """

    kind: ClassVar[Literal["video"]] = "video"
    key: str
    load: Callable[[], Clip]
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


@dataclass(frozen=True, slots=True)
class PredictedTrack:
    """One object in a video.

    prompt: its phrase, or the name of a `PromptedMask`. masks: one per kept frame, None if the object is not visible.
    """

    prompt: str
    score: float
    masks: tuple[Rle | None, ...]


@dataclass(frozen=True, slots=True)
class VideoPrediction:
    """Prediction for a `VideoSample`. frames: names of the kept frames, without suffix; size: height and width."""

    phrases: tuple[str, ...]
    frames: tuple[str, ...]
    size: tuple[int, int]
    tracks: tuple[PredictedTrack, ...]


Prediction = PhrasePrediction | QuestionPrediction | VideoPrediction
