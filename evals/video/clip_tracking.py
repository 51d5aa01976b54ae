"""The tracker on annotated clips: one pass over the frames for all objects or phrases of a clip."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from evals.samples import MaskedClip, PredictedTrack
from evals.simulated_clicks import middle
from evals.video.masklet_runner import Tick, Tracks
from evals.video.track_collector import TrackCollector

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult


class MaskletSession(Protocol):
    """What the method needs of a `sam3model.video_predictor.VideoSession`."""

    def add_phrases(self, phrases: Sequence[str]) -> Any:
        """Find every instance of the phrases."""
        ...

    def add_points(self, points: Any, labels: Any, *, frame: int, object_id: int | None = None) -> Any:
        """Follow an object with these clicks on `frame`."""
        ...

    def add_mask(self, mask: Any, *, frame: int, object_id: int | None = None) -> Any:
        """Follow an object with this mask (H, W) on `frame`."""
        ...

    def propagate(self, *, start: int | None = None, frames: int | None = None) -> "Iterator[FrameResult]":
        """The results of `start` and up to `frames` frames after it."""
        ...


class SessionOpener(Protocol):
    """What the method needs of a `sam3model.video_predictor.Sam3VideoPredictor`."""

    def open(self, source: Any) -> MaskletSession:
        """A session on a clip."""
        ...


class TrackerMethod:
    """The video predictor."""

    title = ""

    def __init__(self, predictor: SessionOpener) -> None:
        self.predictor = predictor

    def follow(self, clip: MaskedClip, *, clicks: bool, tick: Tick) -> Tracks:
        """One pass: it halts before a frame on which objects are prompted, and goes on with these objects too."""
        from sam3model.ops.masks import decode_rle

        session = self.predictor.open(clip.frames)
        found = TrackCollector(range(len(clip.frames)))
        for start, stop in pairwise([*sorted(set(clip.prompted.values())), len(clip.frames)]):
            for one in (one for one, own in clip.prompted.items() if own == start):
                mask = decode_rle(dict(clip.first_mask(one)))
                if clicks:
                    session.add_points([middle(mask)], [1], frame=start, object_id=one)
                else:
                    session.add_mask(mask, frame=start, object_id=one)
            found.add_all(_watched(session.propagate(start=start, frames=stop - start - 1), tick))
        return tuple(PredictedTrack(str(one), 1.0, found.masks(one)) for one in clip.prompted)

    def find(self, clip: MaskedClip, phrases: Sequence[str], *, tick: Tick) -> Tracks:
        """One pass for all phrases."""
        if not phrases:
            return ()
        session = self.predictor.open(clip.frames)
        session.add_phrases(phrases)
        found = TrackCollector(range(len(clip.frames)))
        found.add_all(_watched(session.propagate(start=0), tick))
        return tuple(found.instances())


def _watched(results: "Iterable[FrameResult]", tick: Tick) -> "Iterator[FrameResult]":
    for result in results:
        tick()
        yield result
