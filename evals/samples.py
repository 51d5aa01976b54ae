"""Samples, each with its kind, and predictions, which `evals.sample_runners` makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from sam3model.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from sam3agent.media import ClipMedia

TargetT = TypeVar("TargetT")
Rle = Mapping[str, Any]
Count = Annotated[int, Field(ge=0, le=1 << 53)]
"""A number of calls or tokens; the limits hold where it is read from a file."""
SampleKind = Literal["image-phrase", "image-question", "video", "image-clicks", "masklets"]


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
    """One question about one image, or about a clip: its masks are those of all frames, one below the other."""

    kind: ClassVar[Literal["image-question"]] = "image-question"
    key: str
    open_image: Callable[[], "Image.Image | ClipMedia"]
    question: str
    target: TargetT


@dataclass(frozen=True, slots=True, eq=False)
class PromptedMask:
    """One object of a video, given by its mask on frame number `frame`, the first one that shows it."""

    name: str
    frame: int
    mask: Rle


@dataclass(frozen=True, slots=True, eq=False)
class VideoFiles:
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
    load: Callable[[], VideoFiles]
    phrases: tuple[str, ...]
    target: TargetT


@dataclass(frozen=True, slots=True, eq=False)
class ClickSample:
    """One image with the masks of all its objects, which decide where the simulated clicks are."""

    kind: ClassVar[Literal["image-clicks"]] = "image-clicks"
    key: str
    open_image: Callable[[], "Image.Image"]
    masks: tuple[Rle, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MaskedClip:
    """A clip in memory with all its masks.

    frames: each (H, W, 3) uint8. masks: of every object on every frame, None where no pixel of it is visible.
    kinds: a phrase for the kind of each object. starts: the frame on which each object is prompted, None for objects
    that are not. targets: the objects of each phrase of the sample.
    """

    frames: "tuple[NDArray[np.uint8], ...]"
    masks: tuple[tuple[Rle | None, ...], ...]
    kinds: tuple[str, ...]
    starts: tuple[int | None, ...]
    targets: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.frames[0].shape[:2]
        return height, width

    @property
    def prompted(self) -> dict[int, int]:
        """The frame on which each prompted object is prompted, by object."""
        return {one: start for one, start in enumerate(self.starts) if start is not None}

    def first_mask(self, one: int) -> Rle:
        """The mask of a prompted object on the frame of its prompt."""
        mask = self.masks[one][self.prompted[one]]
        if mask is None:
            raise DataError(f"object {one} is prompted on a frame that does not show it")
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class MaskletSample:
    """One annotated clip with its phrases. load: makes frames and masks, once."""

    kind: ClassVar[Literal["masklets"]] = "masklets"
    key: str
    phrases: tuple[str, ...]
    load: Callable[[], MaskedClip]


Sample = PhraseSample[Any] | QuestionSample[Any] | VideoSample[Any] | ClickSample | MaskletSample


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
    """Prediction for a `QuestionSample`. status: answered, no_match, not_understood or exhausted (best answer so far).

    size: height and width of the image, or of all frames of a clip one below the other. trace: folder of the agent's
    trace, relative to the run's folder. reason: why the question ended. warnings: what the answer does not take into
    account. failed: whether no reply of the backend was usable.
    """

    question: str
    status: str
    size: tuple[int, int]
    detections: tuple[Detection, ...]
    mllm_calls: Count = 0
    segmenter_calls: Count = 0
    tokens: Count = 0
    trace: str | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    failed: bool = False


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
    """Prediction for a `VideoSample`.

    frames: names of the kept frames, without suffix; size: height and width. answer: how the agent's question ended,
    without its masks; None if the agent was not asked.
    """

    phrases: tuple[str, ...]
    frames: tuple[str, ...]
    size: tuple[int, int]
    tracks: tuple[PredictedTrack, ...]
    answer: QuestionPrediction | None = None


@dataclass(frozen=True, slots=True)
class ClickPrediction:
    """Prediction for a `ClickSample`. prompts: their names; masks: of every object after each prompt."""

    prompts: tuple[str, ...]
    masks: tuple[tuple[Rle, ...], ...]


@dataclass(frozen=True, slots=True)
class MaskletPrediction:
    """Prediction for a `MaskletSample`: the tracks under each protocol, with a mask or None per frame.

    The prompt of a track is its phrase or, where objects are given by masks or clicks, the number of the object.
    """

    phrases: tuple[str, ...]
    protocols: Mapping[str, tuple[PredictedTrack, ...]]


Prediction = PhrasePrediction | QuestionPrediction | VideoPrediction | ClickPrediction | MaskletPrediction
