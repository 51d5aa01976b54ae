"""What follows objects through clips: a protocol, so that commands and tools run over the local model or a stand-in.

`LocalTracker` wraps `sam3model.video_predictor.Sam3VideoPredictor`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from sam3agent.local_model import LocalModel

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult
    from sam3model.frames import FrameSource

PixelBox = Sequence[float]
"""x0, y0, x1, y1 in pixels."""


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """threshold: minimum detection score; None for the model's own. max_objects: most at once; None for no limit."""

    threshold: float | None = None
    max_objects: int | None = None


ANY_OBJECTS = TrackOptions()


class PromptedClipObject(Protocol):
    """The object that a click, box or mask belongs to, and the frame with it."""

    @property
    def object_id(self) -> int:
        """The id of the object in the results of the session."""
        ...

    @property
    def result(self) -> "FrameResult":
        """The objects on the prompted frame."""
        ...


class ClipSession(Protocol):
    """One clip: prompts first, then `propagate`. Frames are numbered as in the source; coordinates are pixels."""

    def add_phrases(self, phrases: Sequence[str], *, frame: int = 0) -> "FrameResult":
        """Follow all instances of each phrase, besides those given before. Objects given singly stay."""
        ...

    def add_exemplars(
        self, boxes: Any, labels: Any = None, *, frame: int = 0, phrase: str | None = None
    ) -> "FrameResult":
        """Follow everything like the boxes with label 1 and unlike those with label 0. Forgets single objects."""
        ...

    def add_points(self, points: Any, labels: Any, *, frame: int, object_id: int | None = None) -> PromptedClipObject:
        """Follow one object: points with label 1 are on it, those with label 0 are not. `object_id`: a known object."""
        ...

    def add_box(self, box: PixelBox, *, frame: int, object_id: int | None = None) -> PromptedClipObject:
        """Follow the one object inside a box."""
        ...

    def add_mask(self, mask: NDArray[Any], *, frame: int, object_id: int | None = None) -> PromptedClipObject:
        """Follow the one object of a mask (H, W) bool."""
        ...

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> "Iterator[FrameResult]":
        """Each frame once, in order, from `start`; by default the earliest prompted one.

        reverse: backwards, from the frame before `start`; by default the latest prompted one.
        """
        ...


@runtime_checkable
class ObjectTracker(Protocol):
    """Opens clips. `name` is reported in results."""

    @property
    def name(self) -> str:
        """The weights in use, e.g. "tiny"."""
        ...

    def open(self, source: "FrameSource", options: TrackOptions = ANY_OBJECTS) -> ClipSession:
        """A session on a clip. Raises `CheckpointError` if the weights cannot be loaded or have no tracker."""
        ...


class LocalTracker:
    """The video model in this process. The weights are loaded when the first clip is opened, and kept."""

    def __init__(
        self, weights: str = "tiny", device: str = "auto", dtype: str = "auto", *, model: LocalModel | None = None
    ) -> None:
        """model: a model to share with a segmenter, in place of `weights`, `device` and `dtype`."""
        self.model = model or LocalModel(weights, device, dtype)
        self.name = self.model.weights

    def open(self, source: "FrameSource", options: TrackOptions = ANY_OBJECTS) -> ClipSession:
        """A session on a clip, whose frames are read ahead in a thread.

        Raises `CheckpointError` if the weights cannot be loaded or have no tracker.
        """
        from sam3model.frames import prefetched

        predictor: Any = self.model.video_predictor()  # its calls return None in live sessions only
        return predictor.open(prefetched(source, ahead=1), **_rules(options))


def _rules(options: TrackOptions) -> dict[str, Any]:
    """Options as rules of the video model; those that are None keep the values of the weights."""
    rules = {
        "detection_score": options.threshold,
        "new_object_score": options.threshold,
        "max_objects": options.max_objects,
    }
    return {name: value for name, value in rules.items() if value is not None}
