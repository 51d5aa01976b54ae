"""The tracking of a recorded question, so that it can be run again without weights."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3agent.agent.recorded import Records, recorded_masklets, recorded_size
from sam3agent.masks import Masklet
from sam3agent.tracker import ANY_OBJECTS, TrackOptions
from sam3model.errors import InputError

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult
    from sam3model.frames import FrameSource


@dataclass(frozen=True, slots=True)
class RecordedObject:
    """The object of a recorded mask prompt."""

    object_id: int
    result: "FrameResult"


class RecordedTracker:
    """An `ObjectTracker` that gives the masklets of a trace: those of each call of `track`, in their order."""

    def __init__(self, records: Records) -> None:
        """Raises `InputError` if a mask of the trace is damaged."""
        self.name = str(records[0]["weights"])
        self._size = recorded_size(records)
        self._calls = deque(record for record in records if record["event"] == "tool" and record["name"] == "track")

    def open(self, source: "FrameSource", options: TrackOptions = ANY_OBJECTS) -> "RecordedClipSession":
        """A session with what the next recorded call found. Raises `InputError` if there is none."""
        if not self._calls:
            raise InputError("the trace has no further tracking")
        return RecordedClipSession(self._calls.popleft(), self._size, source.count or 0)


class RecordedClipSession:
    """The objects of one recorded call."""

    def __init__(self, record: Mapping[str, Any], size: tuple[int, int], count: int) -> None:
        self._size, self._count = size, count
        self._first = int(record["arguments"].get("first_frame") or 0)
        masklets = recorded_masklets([record], size)
        scores = {mask["id"]: dict(map(tuple, mask["phrases"])) for mask in record["masks"]}
        found = [
            (mask["id"], search["phrase"]) for search in record["data"].get("searches", ()) for mask in search["masks"]
        ]
        followed = [(mask_id, None) for mask_id in masklets] if record["arguments"].get("id") else []
        self._rows: list[tuple[Masklet, str | None, float]] = [
            (masklets[mask_id], phrase, scores[mask_id].get(phrase, 1.0) if phrase else 1.0)
            for mask_id, phrase in found or followed
            if mask_id in masklets
        ]

    def add_phrases(self, phrases: Sequence[str], *, frame: int = 0) -> "FrameResult":
        """The first frame: the phrases are those of the recorded call."""
        return self._result(frame)

    def add_mask(self, mask: NDArray[Any], *, frame: int, object_id: int | None = None) -> RecordedObject:
        """The frame of the mask, which was the one that the recorded call followed."""
        return RecordedObject(object_id or 0, self._result(frame))

    def add_exemplars(self, *_: Any, **__: Any) -> "FrameResult":
        """Raises `InputError`: a trace has no prompts of boxes or points."""
        raise InputError("a trace contains no prompts of boxes or points")

    def add_points(self, *_: Any, **__: Any) -> RecordedObject:
        """Raises `InputError`, as `add_exemplars` does."""
        return self.add_box()

    def add_box(self, *_: Any, **__: Any) -> RecordedObject:
        """Raises `InputError`, as `add_exemplars` does."""
        raise InputError("a trace contains no prompts of boxes or points")

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> "Iterator[FrameResult]":
        """The frames from one on, or before it."""
        first = start or 0
        numbers = range(first - 1, -1, -1) if reverse else range(first, self._count)
        return (self._result(t) for t in numbers[:frames])

    def _result(self, t: int) -> "FrameResult":
        from sam3model.frame_results import FrameResult

        seen = [(n, row) for n, row in enumerate(self._rows) if self._first + t in row[0].areas]
        scores = np.array([score for _, (_, _, score) in seen], np.float32)
        return FrameResult(
            frame=t,
            time=0.0,
            size=self._size,
            ids=np.array([n for n, _ in seen], np.int64),
            boxes=np.zeros((len(seen), 4), np.float32),
            scores=scores,
            tracker_scores=scores,
            masks=tuple(rle for _, (masklet, _, _) in seen if (rle := masklet.rle(self._first + t))),
            phrases=tuple(phrase for _, (_, phrase, _) in seen),
        )
