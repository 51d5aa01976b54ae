"""The results of a session: held back while objects may still be removed, and kept for corrections."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.frame_results import FrameResult
from sam3model.frames import FrameSource
from sam3model.tracker.frame_ranges import FrameRanges
from sam3model.video.clip_outputs import (
    FrameNaming,
    FrameRecord,
    ObjectRecord,
    frame_result,
    object_crops,
    record_frame,
)
from sam3model.video.clip_tracker import TrackedFrame

_NOTHING: tuple[int, Mapping[int, Tensor]] = (-1, {})
"""No frame whose masks are kept as pixels."""


class ResultKeeper:
    """Records of frames, as run lengths, and the queue of results that are about to be returned.

    A frame is open from its processing until its result has left the queue: until then, objects may still be removed.
    forget: drop the record of a frame once its result has been released. If nothing is held back, the masks of a frame
    are also kept as pixels until its result is made at once, which would else decode what was just encoded.
    """

    def __init__(self, frames: FrameSource, config: VideoConfig, forget: bool = False) -> None:
        self._frames = frames
        self._config = config
        self._phrases: dict[int, str | None] = {}
        self._forget = forget
        self._records: dict[int, FrameRecord] = {}
        self._processed = FrameRanges()
        self._held: deque[int] = deque()
        self._open: set[int] = set()
        self._removed: set[int] = set()
        self._fresh = _NOTHING

    @property
    def delay(self) -> int:
        """Number of frames after which a result is final."""
        return max(self._config.hotstart_delay - 1, self._config.confirmation_frames - 1, 0)

    def name_concepts(self, phrases: Sequence[str | None]) -> None:
        """Set the phrase of each concept."""
        self._phrases = dict(enumerate(phrases))

    def keep(self, tracked: TrackedFrame, scores: Mapping[int, float], concepts: Mapping[int, int]) -> None:
        """Record a frame that was processed completely, in place of what was recorded of it."""
        record = self._records[tracked.frame] = record_frame(tracked, scores, concepts)
        self._fresh = (tracked.frame, {} if self.delay else object_crops(tracked, record))
        if tracked.plan is not None:
            self._removed.update(tracked.plan.removed)

    def merge(
        self, tracked: TrackedFrame, ids: Collection[int], scores: Mapping[int, float], concepts: Mapping[int, int]
    ) -> None:
        """Replace the objects `ids` of a frame that was tracked again; those that moved along keep their results."""
        newer = record_frame(tracked, scores, concepts)
        self._fresh = _NOTHING
        self._records[tracked.frame] = self._record(tracked.frame).merged(newer, ids)

    def put_object(self, frame: int, object_id: int, record: ObjectRecord | None) -> None:
        """Replace one object of a frame; None if it has no mask there.

        If the rules had removed an object of this id, its earlier masks are dropped, and the id is shown again.
        """
        if object_id in self._removed:
            self.remove(object_id)
            self._removed.discard(object_id)
        self._fresh = _NOTHING
        newer = FrameRecord({} if record is None else {object_id: record})
        self._records[frame] = self._record(frame).merged(newer, [object_id])

    def object_on(self, frame: int, object_id: int) -> ObjectRecord | None:
        """An object as it is recorded on a frame; None if it is not, or if the rules removed it."""
        return None if object_id in self._removed else self._record(frame).objects.get(object_id)

    def knows(self, object_id: int) -> bool:
        """Whether any frame has this object."""
        return any(object_id in record.objects for record in self._records.values())

    def set_score(self, object_id: int, score: float) -> None:
        """Change the detection score of an object on all frames."""
        for frame, record in self._records.items():
            own = record.objects.get(object_id)
            if own is not None and own.score != score:
                self._records[frame] = replace(record, objects={**record.objects, object_id: replace(own, score=score)})

    def remove(self, object_id: int) -> None:
        """Drop an object from all frames."""
        for frame, record in self._records.items():
            if object_id in record.objects:
                self._records[frame] = record.without(object_id)

    def hold(self, frame: int, fresh: bool = False) -> None:
        """Put a recorded frame into the queue of results. fresh: it has just been processed."""
        self._held.append(frame)
        if fresh:
            self._processed.add(frame, reverse=False)
            self._open.add(frame)

    def release(self, keep: int) -> list[FrameResult]:
        """Results of the queue until only `keep` frames are left in it."""
        released = []
        while len(self._held) > keep:
            frame = self._held[0]
            if frame in self._open:
                ahead = self._held[min(max(self._config.confirmation_frames - 1, 0), len(self._held) - 1)]
                self._records[frame] = replace(self._record(frame), unconfirmed=self._record(ahead).unconfirmed)
                self._open.discard(frame)
            self._held.popleft()
            released.append(self.result(frame))
            if self._forget:
                del self._records[frame]
        return released

    def release_final(self) -> list[FrameResult]:
        """Results of the queue that are final: all of it unless a frame in it is open."""
        return self.release(self.delay if any(frame in self._open for frame in self._held) else 0)

    def set_aside(self) -> None:
        """Empty the queue without returning its results. Frames in it stay open, and can be held again."""
        self._held.clear()

    def result(self, frame: int, hidden: Collection[int] | None = None) -> FrameResult:
        """What is shown of a frame; `hidden`: ids that are not, by default the removed, suppressed and unconfirmed."""
        record = self._record(frame)
        if hidden is None:
            hidden = self._removed | record.suppressed | record.unconfirmed
        naming = FrameNaming(self._frames.time(frame), self._frames.size, self._phrases)
        fresh, self._fresh = self._fresh, _NOTHING
        crops = fresh[1] if fresh[0] == frame else None
        return frame_result(frame, record, naming, hidden, compared=len(self._phrases) > 1, crops=crops)

    def processed(self, frame: int) -> bool:
        """Whether all objects of a frame were found and followed."""
        return frame in self._processed

    @property
    def processed_count(self) -> int:
        """Number of frames on which all objects were found and followed."""
        return len(self._processed)

    def settle(self, frame: int) -> None:
        """After a prompt on `frame`: in a live session, drop its record if its result has been returned already."""
        if self._forget and frame not in self._held:
            self._records.pop(frame, None)

    def _record(self, frame: int) -> FrameRecord:
        return self._records.get(frame) or FrameRecord()
