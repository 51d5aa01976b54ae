"""The decisions of one frame, made from detections and tracked masks before anything is written to memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.video.association import Association, associate, mask_overlaps
from sam3model.video.border import away_from_border
from sam3model.video.confirmation import confirmation_step
from sam3model.video.hotstart import hotstart_step
from sam3model.video.object_limit import limit_new_objects
from sam3model.video.reconditioning import Corrections, choose_corrections
from sam3model.video.track_ledger import USER_GIVEN, TrackLedger


@dataclass(frozen=True, slots=True, eq=False)
class FrameDetections:
    """The detections of a frame that passed non-maximum suppression, of all phrases.

    masks: (n, h, w) logits. scores: (n,) probabilities. boxes: (n, 4) xyxy as fractions of the image. concepts: (n,)
    index of the phrase of each; None if there is one phrase.
    """

    masks: Tensor
    scores: NDArray[np.floating]
    boxes: NDArray[np.floating]
    concepts: Sequence[int] | None = None

    def concept(self, index: int) -> int:
        """The phrase of a detection."""
        return 0 if self.concepts is None else int(self.concepts[index])


@dataclass(frozen=True, slots=True, eq=False)
class TrackedMasks:
    """What the tracker predicts for a frame, cleaned: ids (m,), masks (m, h, w) logits, object score logits (m,)."""

    ids: tuple[int, ...]
    masks: Tensor
    score_logits: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class FramePlan:
    """The decisions of a frame.

    association: which detections and tracks belong together, with `new` as it was found; `new` and `new_ids` below are
    the detections that become objects, and their ids. dropped: number of new detections for which there was no room.
    corrections: tracks to prompt again. removed: ids that are removed, from this frame and from frames held back.
    suppressed: ids that are not shown on this frame. unconfirmed: ids that are not confirmed yet.
    """

    frame: int
    association: Association = field(default_factory=Association)
    new: tuple[int, ...] = ()
    new_ids: tuple[int, ...] = ()
    dropped: int = 0
    corrections: Corrections = field(default_factory=Corrections)
    removed: tuple[int, ...] = ()
    suppressed: tuple[int, ...] = ()
    unconfirmed: tuple[int, ...] = ()


def plan_frame(
    ledger: TrackLedger,
    detections: FrameDetections,
    tracks: TrackedMasks,
    *,
    frame: int,
    config: VideoConfig,
    reverse: bool = False,
) -> tuple[FramePlan, TrackLedger]:
    """Associate, limit, number, remove and correct: the plan of a frame, and the ledger after it.

    The order of `tracks.ids` decides ties. The ledger after it has the new objects and lacks the removed ones, whose
    masks still take part in the occlusion rule of this frame (with `plan.removed`).
    """
    association = associate_concepts(detections, tracks, ledger.concepts, config)
    room = None if config.max_objects is None else config.max_objects - len(ledger.scores)
    inside = away_from_border(detections.boxes, config.boundary_margin)
    wanted = [d for d in association.new if inside[d]]
    new = limit_new_objects(wanted, detections.scores, room)
    new_ids = tuple(range(ledger.max_id + 1, ledger.max_id + 1 + len(new)))
    hotstart = hotstart_step(
        ledger.hotstart,
        frame=frame,
        new_ids=new_ids,
        matched=association.matched,
        unmatched=association.unmatched,
        empty=association.empty,
        config=config,
        reverse=reverse,
    )
    corrections = choose_corrections(
        association.confident,
        detections.scores,
        detections.boxes,
        tracks.masks,
        tracks.ids,
        tracks.score_logits,
        frame=frame,
        config=config,
    )
    after = ledger.born(new_ids, [float(detections.scores[d]) for d in new], [detections.concept(d) for d in new])
    after = replace(after.without(hotstart.removed), hotstart=hotstart.state)
    after, unconfirmed = _confirm(after, association, new_ids, config)
    plan = FramePlan(
        frame,
        association,
        new,
        new_ids,
        len(wanted) - len(new),
        corrections,
        hotstart.removed,
        hotstart.suppressed,
        unconfirmed,
    )
    return plan, after


def associate_concepts(
    detections: FrameDetections, tracks: TrackedMasks, concepts: Mapping[int, int], config: VideoConfig
) -> Association:
    """Associate each phrase's detections with its own tracks, and merge the results. `concepts`: phrase of each id.

    A detection of an object that a user gave is not new, but takes no other part in the life of that object.
    """
    owner = [concepts[i] for i in tracks.ids]
    kinds = [detections.concept(d) for d in range(len(detections.scores))]
    found = Association()
    for kind in sorted({*owner, *kinds} - {USER_GIVEN}):
        chosen = [d for d, own in enumerate(kinds) if own == kind]
        rows = [k for k, own in enumerate(owner) if own == kind]
        part = associate(
            _rows(detections.masks, chosen),
            np.asarray(detections.scores)[chosen],
            _rows(tracks.masks, rows),
            [tracks.ids[k] for k in rows],
            config,
        )
        found = _merge(found, part, chosen)
    given = [k for k, own in enumerate(owner) if own == USER_GIVEN]
    if not given or not found.new:
        return found
    overlaps = mask_overlaps(_rows(detections.masks, found.new), _rows(tracks.masks, given))
    taken = np.flatnonzero((overlaps >= config.match_iou).any(axis=1)).tolist()
    return replace(found, new=tuple(d for k, d in enumerate(found.new) if k not in taken))


def _rows(masks: Tensor, rows: Sequence[int]) -> Tensor:
    return masks if len(rows) == len(masks) else masks[list(rows)]


def _merge(found: Association, part: Association, chosen: Sequence[int]) -> Association:
    """Add the association of one phrase, whose detections are `chosen` of all."""
    return Association(
        new=tuple(sorted((*found.new, *(chosen[d] for d in part.new)))),
        unmatched=found.unmatched + part.unmatched,
        empty=found.empty + part.empty,
        matched={**found.matched, **{chosen[d]: ids for d, ids in part.matched.items()}},
        confident={**found.confident, **{i: chosen[d] for i, d in part.confident.items()}},
    )


def _confirm(
    ledger: TrackLedger, association: Association, new_ids: Iterable[int], config: VideoConfig
) -> tuple[TrackLedger, tuple[int, ...]]:
    """Count the matches of a frame towards confirmation; no object is unconfirmed if the rule is off."""
    if config.confirmation_frames <= 0:
        return ledger, ()
    matched = {*new_ids, *(i for ids in association.matched.values() for i in ids)}
    state = confirmation_step(ledger.confirmation, ledger.ids, matched, config.confirmation_frames)
    return replace(ledger, confirmation=state), state.unconfirmed(ledger.ids)
