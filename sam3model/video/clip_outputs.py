"""Results of frames as run lengths: recorded, merged after corrections, and shown without overlaps."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3model.frame_results import FrameResult
from sam3model.ops.masks import decode_rle, encode_rle, mask_to_box
from sam3model.video.clip_tracker import TrackedFrame
from sam3model.video.mask_extents import has_pixels, mask_extents
from sam3model.video.mask_overlap import resolve_by_score


@dataclass(frozen=True, slots=True, eq=False)
class ObjectRecord:
    """One object on one frame, before overlaps are resolved.

    mask: COCO compressed RLE. box: x0, y0, x1, y1 in pixels, both ends inclusive. score: detection score at birth.
    overlap_score: decides who gets a pixel of several objects. concept: see `TrackLedger`.
    """

    mask: dict[str, Any]
    box: tuple[int, int, int, int]
    score: float
    tracker_score: float
    overlap_score: float
    concept: int


def user_record(mask: NDArray[np.bool_], concept: int) -> ObjectRecord | None:
    """The record of a mask (H, W) that a user prompted; None if it is empty."""
    x0, y0, x1, y1 = mask_to_box(mask)
    return ObjectRecord(encode_rle(mask), (x0, y0, x1 - 1, y1 - 1), 1.0, 1.0, 1.0, concept) if x1 > x0 else None


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """The non-empty objects of a frame by id, and those that are not shown on it."""

    objects: Mapping[int, ObjectRecord] = field(default_factory=dict)
    suppressed: frozenset[int] = frozenset()
    unconfirmed: frozenset[int] = frozenset()

    def merged(self, newer: "FrameRecord", ids: Collection[int]) -> "FrameRecord":
        """The record with the objects `ids` as in a newer one; they are no longer suppressed."""
        kept = {one: record for one, record in self.objects.items() if one not in ids}
        fresh = {one: record for one, record in newer.objects.items() if one in ids}
        return FrameRecord({**kept, **fresh}, self.suppressed.difference(ids), self.unconfirmed.difference(ids))

    def without(self, object_id: int) -> "FrameRecord":
        """The record without an object."""
        return replace(self, objects={one: record for one, record in self.objects.items() if one != object_id})


def record_frame(tracked: TrackedFrame, scores: Mapping[int, float], concepts: Mapping[int, int]) -> FrameRecord:
    """The record of a tracked frame. scores, concepts: detection score at birth and phrase of each id."""
    visible, boxes = has_pixels(tracked.masks).tolist(), mask_extents(tracked.masks).tolist()
    masks = tracked.masks.cpu().numpy()
    objects = {
        object_id: ObjectRecord(
            encode_rle(masks[row]),
            tuple(boxes[row]),
            scores.get(object_id, 0.0),
            tracked.tracker_scores[row],
            tracked.overlap_scores[row],
            concepts.get(object_id, -1),
        )
        for row, object_id in enumerate(tracked.ids)
        if visible[row]
    }
    plan = tracked.plan
    if plan is None:
        return FrameRecord(objects)
    return FrameRecord(objects, frozenset(plan.suppressed), frozenset(plan.unconfirmed))


@dataclass(frozen=True, slots=True)
class FrameNaming:
    """What a result says beside masks: time of the frame in seconds, size (width, height), phrase of each concept."""

    time: float
    size: tuple[int, int]
    phrases: Mapping[int, str | None]


def object_crops(tracked: TrackedFrame, record: FrameRecord) -> dict[int, Tensor]:
    """The recorded masks of a frame before they are run lengths: id -> what is inside its box, (h, w) bool."""
    rows = {object_id: row for row, object_id in enumerate(tracked.ids)}
    return {one: tracked.masks[rows[one]][_window(own.box)].cpu() for one, own in record.objects.items()}


def frame_result(
    frame: int,
    record: FrameRecord,
    naming: FrameNaming,
    hidden: Collection[int],
    compared: bool = False,
    crops: Mapping[int, Tensor] | None = None,
) -> FrameResult:
    """What is shown of a frame: ids ascending, without hidden objects and with overlaps resolved.

    compared: resolve overlaps only between objects of the same phrase. crops: `object_crops`, if they are still there.
    """
    shown = {one: record.objects[one] for one in sorted(record.objects) if one not in hidden}
    masks = _disjoint(shown, compared, crops or {})
    boxes = np.array([one.box for one in shown.values()], np.float32).reshape(-1, 4)
    boxes[:, 2:] += 1
    return FrameResult(
        frame=frame,
        time=naming.time,
        size=naming.size,
        ids=np.array(list(shown), np.int64),
        boxes=boxes,
        scores=np.array([one.score for one in shown.values()], np.float32),
        tracker_scores=np.array([one.tracker_score for one in shown.values()], np.float32),
        masks=tuple(masks),
        phrases=tuple(naming.phrases.get(one.concept) for one in shown.values()),
    )


def _disjoint(shown: Mapping[int, ObjectRecord], compared: bool, crops: Mapping[int, Tensor]) -> list[dict[str, Any]]:
    """Masks of the objects; pixels of several go to the one with the highest tracker score."""
    ids, records = list(shown), list(shown.values())
    masks = [one.mask for one in records]
    touching = [row for row in range(len(records)) if _is_contested(row, records, compared)]
    before = [crops[ids[row]] if ids[row] in crops else _decoded_crop(records[row]) for row in touching]
    concepts = [records[row].concept for row in touching] if compared else None
    after = resolve_by_score(
        before, [records[row].overlap_score for row in touching], concepts, [records[row].box for row in touching]
    )
    for row, old, new in zip(touching, before, after, strict=True):
        if not torch.equal(old, new):
            full = np.zeros(masks[row]["size"], bool)
            full[_window(records[row].box)] = new.numpy()
            masks[row] = encode_rle(full)
    return masks


def _decoded_crop(record: ObjectRecord) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(decode_rle(record.mask)[_window(record.box)]))


def _window(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of a box with both ends inclusive."""
    return slice(box[1], box[3] + 1), slice(box[0], box[2] + 1)


def _is_contested(row: int, records: list[ObjectRecord], compared: bool) -> bool:
    """Whether an object may lose pixels to another: their boxes overlap, or its score is not positive."""
    own = records[row]
    others = [one for k, one in enumerate(records) if k != row and (not compared or one.concept == own.concept)]
    if not others:
        return False
    return own.overlap_score <= 0 or any(_boxes_touch(own.box, one.box) for one in others)


def _boxes_touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
