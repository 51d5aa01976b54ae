"""The objects of a frame under ids that stay the same for a whole run, and their JSON lines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sam3agent.masks import Box, Mask
from sam3model.ops.masks import check_rle, coco

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult

Rle = Mapping[str, Any]
"""COCO compressed RLE: `{"size": [H, W], "counts": str}`."""


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """One object on one frame.

    id: from 1, the same on every frame. phrase: what found it; None for clicks, boxes and masks. score: the detection
    score with which it was found, 1 if a user showed it. visibility: how sure the tracker is that it is on this frame.
    """

    id: int
    phrase: str | None
    score: float
    visibility: float
    rle: Rle = field(repr=False)

    @property
    def area(self) -> int:
        """Number of pixels; 0 if the object is hidden."""
        return int(coco.area(self.rle))

    @property
    def box(self) -> Box:
        """Tight box of the mask, xyxy in pixels; zeros if the object is hidden."""
        x, y, width, height = (round(side) for side in coco.toBbox(self.rle))
        return (x, y, x + width, y + height) if width and height else (0, 0, 0, 0)

    @property
    def mask(self) -> Mask | None:
        """The mask; None if the object is hidden."""
        return Mask.from_rle(self.rle)


@dataclass(frozen=True, slots=True)
class FrameTracks:
    """The objects on one frame, ascending by id. frame: number in the clip. time: seconds from its start."""

    frame: int
    time: float
    objects: tuple[TrackedObject, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values; masks without their size, which all frames of a clip share."""
        rows = [[o.id, o.phrase, round(o.score, 4), round(o.visibility, 4), str(o.rle["counts"])] for o in self.objects]
        return {"event": "frame", "frame": self.frame, "time": round(self.time, 6), "objects": rows}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], size: tuple[int, int]) -> "FrameTracks":
        """The inverse of `to_json`, for a clip of `size` (width, height).

        Raises `InputError` if a mask is damaged, and what other damage raises.
        """
        shape = [size[1], size[0]]
        objects = tuple(
            TrackedObject(
                int(number), phrase, float(score), float(visibility), check_rle({"size": shape, "counts": counts})
            )
            for number, phrase, score, visibility, counts in record["objects"]
        )
        return cls(int(record["frame"]), float(record["time"]), objects)


@dataclass
class StableIds:
    """Ids of a run for the ids of a tracker's session; mutable. New objects are numbered from `next_id`.

    known: phrase and score of objects by id, as they were first found; a session that goes on after an interruption
    knows them only as masks.
    """

    next_id: int = 1
    ids: dict[int, int] = field(default_factory=dict)
    known: dict[int, tuple[str | None, float]] = field(default_factory=dict)

    def bind(self, session_id: int, number: int) -> None:
        """Say which object an id of the session is."""
        self.ids[int(session_id)] = number
        self.next_id = max(self.next_id, number + 1)

    def session_id(self, number: int) -> int | None:
        """The id of the session for an object; None if the session does not know it."""
        return next((session_id for session_id, bound in self.ids.items() if bound == number), None)

    def tracked(self, result: "FrameResult", frame: int, time: float) -> FrameTracks:
        """The objects of a result under their stable ids; objects seen for the first time get the next ids."""
        objects = []
        for row, session_id in enumerate(int(given) for given in result.ids):
            if session_id not in self.ids:
                self.bind(session_id, self.next_id)
            number = self.ids[session_id]
            phrase, score = self.known.setdefault(number, (result.phrases[row], float(result.scores[row])))
            rle = {"size": list(result.masks[row]["size"]), "counts": result.masks[row]["counts"]}
            objects.append(TrackedObject(number, phrase, score, float(result.tracker_scores[row]), rle))
        return FrameTracks(frame, time, tuple(sorted(objects, key=lambda tracked: tracked.id)))


def rle_iou(a: Rle, b: Rle) -> float:
    """IoU of two masks as RLE; 0 if both are empty."""
    return float(coco.iou([dict(a)], [dict(b)], [0])[0, 0])


def visible(frames: Iterable[TrackedObject]) -> tuple[TrackedObject, ...]:
    """The objects with at least one pixel."""
    return tuple(tracked for tracked in frames if tracked.area)
