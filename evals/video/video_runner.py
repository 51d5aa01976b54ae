"""Predicts videos: follows objects that are given by masks, or finds and follows every instance of phrases."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tqdm import tqdm

from evals.samples import PredictedTrack, PromptedMask, VideoFiles, VideoPrediction, VideoSample
from evals.video.track_collector import TrackCollector
from sam3model.errors import CheckpointError, ConfigError, DataError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sam3agent.config import Settings
    from sam3model.frame_results import FrameResult
    from sam3model.frames import FrameSource
    from sam3model.video_predictor import Sam3VideoPredictor

PHRASES_AT_ONCE = 32
"""Phrases that share one session, and so the image encoder; more would need too much memory on every frame."""


class VideoPrompting(Protocol):
    """What the runner needs of a `sam3model.video_predictor.VideoSession`."""

    def add_phrases(self, phrases: Sequence[str]) -> Any:
        """Find every instance of the phrases."""
        ...

    def add_mask(self, mask: "NDArray[Any]", *, frame: int, object_id: int | None = None) -> Any:
        """Follow an object with this mask (H, W) on `frame`."""
        ...

    def propagate(self, *, start: int | None = None) -> "Iterator[FrameResult]":
        """The results of all frames from `start` on."""
        ...


class ClipPredictor(Protocol):
    """What the runner needs of a `sam3model.video_predictor.Sam3VideoPredictor`."""

    def open(self, source: "FrameSource") -> VideoPrompting:
        """A session on a clip."""
        ...


def load_predictor(settings: "Settings") -> "Sam3VideoPredictor":
    """The video predictor of the settings. Raises `ConfigError` if the weights are unusable or have no tracker."""
    from sam3model.video_predictor import Sam3VideoPredictor

    try:
        return Sam3VideoPredictor.from_weights(settings.weights, device=settings.device, dtype=settings.dtype)
    except (CheckpointError, InputError) as error:
        raise ConfigError(str(error)) from error


class VideoRunner:
    """Segments one video at a time."""

    def __init__(self, predictor: ClipPredictor, name: str) -> None:
        self.system = name
        self.predictor = predictor
        self._cancelled = threading.Event()

    async def __call__(self, sample: VideoSample[Any]) -> VideoPrediction:
        """The tracks of all phrases or objects. Raises `DataError` or `InputError` if the clip is unusable."""
        try:
            return await asyncio.to_thread(self._predict, sample)
        except asyncio.CancelledError:
            self._cancelled.set()  # the thread stops after the current frame, so that Ctrl-C need not wait for the clip
            raise

    def _predict(self, sample: VideoSample[Any]) -> VideoPrediction:
        clip = sample.load()
        frames = _open(clip)
        try:
            tracks = self._find(sample, clip, frames) if sample.phrases else self._follow(sample, clip, frames)
        finally:
            frames.close()
        names = tuple(clip.files[t].stem for t in clip.kept)
        return VideoPrediction(sample.phrases, names, clip.size, tuple(tracks))

    def _find(self, sample: VideoSample[Any], clip: VideoFiles, frames: "FrameSource") -> list[PredictedTrack]:
        """Every instance of the phrases."""
        phrases = list(dict.fromkeys(sample.phrases))
        sessions = [phrases[k : k + PHRASES_AT_ONCE] for k in range(0, len(phrases), PHRASES_AT_ONCE)]
        tracks: list[PredictedTrack] = []
        with _frame_bar(sample.key, len(sessions) * len(clip.files)) as bar:
            for some in sessions:
                session = self.predictor.open(frames)
                session.add_phrases(some)
                found = TrackCollector(clip.kept)
                found.add_all(self._watched(session.propagate(start=0), bar))
                tracks += found.instances()
        return tracks

    def _follow(self, sample: VideoSample[Any], clip: VideoFiles, frames: "FrameSource") -> list[PredictedTrack]:
        """The given objects, each from its first frame on.

        Objects that may overlap get a session each, since in a session every pixel belongs to at most one object.
        """
        sessions = [(one,) for one in clip.objects] if clip.overlapping else [clip.objects]
        total = sum(len(clip.files) - start for some in sessions for start in {one.frame for one in some})
        tracks: list[PredictedTrack] = []
        with _frame_bar(sample.key, total) as bar:
            for some in sessions:
                tracks += self._follow_together(some, clip, frames, bar)
        nothing = (None,) * len(clip.kept)
        return tracks + [PredictedTrack(name, 1.0, nothing) for name in clip.unseen]

    def _watched(self, results: "Iterable[FrameResult]", bar: "tqdm[Any]") -> "Iterator[FrameResult]":
        """The results, until the run is cancelled; each moves the progress bar."""
        for result in results:
            if self._cancelled.is_set():
                raise InputError("the run was cancelled")
            bar.update()
            yield result

    def _follow_together(
        self, objects: Sequence[PromptedMask], clip: VideoFiles, frames: "FrameSource", bar: "tqdm[Any]"
    ) -> list[PredictedTrack]:
        """A pass per first frame: an object must not be tracked before it appears, with memory of its future."""
        from sam3model.ops.masks import decode_rle

        session = self.predictor.open(frames)
        found = TrackCollector(clip.kept)
        for start in sorted({one.frame for one in objects}):
            for object_id, one in enumerate(objects):
                if one.frame == start:
                    session.add_mask(decode_rle(dict(one.mask)), frame=start, object_id=object_id)
            found.add_all(self._watched(session.propagate(start=start), bar))
        return [PredictedTrack(one.name, 1.0, found.masks(k)) for k, one in enumerate(objects)]


def _open(clip: VideoFiles) -> "FrameSource":
    from sam3model.frames import open_frames

    frames = open_frames(clip.files)
    if frames.size != clip.size[::-1]:
        width, height = frames.size
        annotated = f"{clip.size[1]}x{clip.size[0]}"
        raise DataError(f"{clip.files[0]} is {width}x{height} pixels, but the annotations are {annotated}")
    return frames


def _frame_bar(key: str, total: int) -> "tqdm[Any]":
    """A progress bar that shows frames per second."""
    return tqdm(total=total, desc=key, unit="frame", disable=None, leave=False)
