"""One frame after the other: detect, track, decide, remember (official `Sam3VideoBase`)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.frames import FrameSource
from sam3model.tracker.frame_ranges import FrameRanges
from sam3model.tracker.group import Clicks, ObjectGroup, TrackerParts
from sam3model.tracker.memory_bank import MemoryBank
from sam3model.tracker.propagation import forget_unread, put_memory, track_frame, write_tracked
from sam3model.video.frame_detector import Concepts, detect, no_detections
from sam3model.video.frame_encoder import EncodedFrame, FrameEncoder
from sam3model.video.full_size_masks import full_size_masks
from sam3model.video.mask_cleanup import clean_masks
from sam3model.video.mask_extents import has_pixels
from sam3model.video.memory_masks import memory_masks
from sam3model.video.occlusion import hide_recently_occluded
from sam3model.video.planning import FrameDetections, FramePlan, TrackedMasks, plan_frame
from sam3model.video.reconditioning import correction_masks, with_replacements
from sam3model.video.state_copies import copied
from sam3model.video.track_ledger import TrackLedger


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """The objects on a frame before anything is hidden or overlaps are resolved.

    ids; masks (n, H, W) bool at the size of the clip; tracker_scores: how sure the tracker is of each, 0..1.
    overlap_scores: which object gets a pixel of several. They are the same, but for frames that were tracked again,
    where the official code compares logits with the probabilities of other objects.
    plan: the decisions of the frame; None if it was only tracked. occluded: ids that the occlusion rule hid.
    """

    frame: int
    ids: tuple[int, ...]
    masks: Tensor
    tracker_scores: tuple[float, ...]
    overlap_scores: tuple[float, ...]
    plan: FramePlan | None = None
    occluded: tuple[int, ...] = ()
    tracks: TrackedMasks | None = None


@dataclass(frozen=True, slots=True)
class RestingObject:
    """An object that is not followed now: its memory, detection score and phrase (see `TrackLedger.concepts`)."""

    group: ObjectGroup
    score: float
    concept: int


_CHANGING = ("groups", "ledger", "last_seen", "given", "resting", "_start")
_CHANGING_KINDS = (ObjectGroup, MemoryBank, FrameRanges, RestingObject)


@dataclass(slots=True)
class ClipTracker:
    """The objects of a clip, and how they move from frame to frame."""

    parts: TrackerParts
    detector: Sam3ImageModel
    config: VideoConfig
    encode: FrameEncoder
    frames: FrameSource
    groups: list[ObjectGroup] = field(default_factory=list)
    ledger: TrackLedger = field(default_factory=TrackLedger)
    last_seen: dict[int, int] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    resting: list[RestingObject] = field(default_factory=list)
    _start: int = 0

    @contextmanager
    def unchanged_on_error(self) -> Iterator[None]:
        """Put all objects and their memories back if something fails, so that the step can be tried again."""
        before = [copied(getattr(self, name), *_CHANGING_KINDS) for name in _CHANGING]
        try:
            yield
        except BaseException:
            for name, value in zip(_CHANGING, before, strict=True):
                setattr(self, name, value)
            raise

    def begin(self, start: int) -> None:
        """A propagation starts at a frame: objects that were there take part again, and absences count from here."""
        self._start = start
        for one in [one for one in self.resting if start in one.group.tracked]:
            self._wake(one)
        self.last_seen.clear()

    @torch.inference_mode()
    def step(self, frame: int, concepts: Concepts | None, *, reverse: bool = False) -> TrackedFrame:
        """Process a frame completely: new objects may appear, and others may end."""
        features = self.encode(frame)
        found = self._detect(frame, features, concepts)
        track_frame(self.parts, self.groups, frame, features.objects, reverse=reverse)
        tracks = self._tracked(self.groups, frame)
        plan, ledger = plan_frame(self.ledger, found, tracks, frame=frame, config=self.config, reverse=reverse)
        self._correct(plan, found, frame, features)
        compared = self.ledger.compared_concepts(tracks.ids, 0 if concepts is None else len(concepts.names))
        occlusion = hide_recently_occluded(
            tracks.masks,
            tracks.ids,
            self.ledger.last_occluded,
            frame=frame,
            iou=self.config.occlusion_iou,
            removed=plan.removed,
            concepts=compared,
            reverse=reverse,
        )
        self._remember(frame, features, occlusion.masks, compared)
        shown = full_size_masks(
            with_replacements(occlusion.masks, tracks.ids, plan.corrections, found.masks), self.frames.size
        )
        born = clean_masks(found.masks[list(plan.new)], self.config.hole_area)
        shown = torch.cat((shown, full_size_masks(born, self.frames.size)))
        self.ledger = ledger.occluded(occlusion.last_occluded)
        self._add(plan, found, frame, features)
        self.remove(plan.removed)
        for group in self.groups:
            forget_unread(group, frame)
        self._retire(frame, tracks, plan)
        scores = (*_probabilities(tracks), *(float(found.scores[d]) for d in plan.new))
        hidden = tuple(one for one, away in zip(tracks.ids, occlusion.hidden, strict=True) if away)
        return TrackedFrame(frame, (*tracks.ids, *plan.new_ids), shown, scores, scores, plan, hidden, tracks)

    @torch.inference_mode()
    def retrack(self, frame: int, ids: Collection[int], *, reverse: bool = False) -> TrackedFrame:
        """Track only the groups that contain one of these objects, without detections or rules between objects."""
        groups = [group for group in self.groups if not set(ids).isdisjoint(group.ids)]
        if not groups:
            empty = self._tracked((), frame)
            return TrackedFrame(frame, (), full_size_masks(empty.masks, self.frames.size), (), (), tracks=empty)
        features = self.encode(frame)
        track_frame(self.parts, groups, frame, features.objects, reverse=reverse)
        write_tracked(self.parts, groups, frame, features.objects)
        tracks = self._tracked(groups, frame)
        for group in groups:
            forget_unread(group, frame)
        masks, logits = full_size_masks(tracks.masks, self.frames.size), tracks.score_logits.tolist()
        return TrackedFrame(frame, tracks.ids, masks, _probabilities(tracks), tuple(logits), tracks=tracks)

    @torch.inference_mode()
    def click(self, frame: int, object_id: int, clicks: Clicks, earlier: Tensor | None) -> Tensor:
        """Prompt one object with points; returns its mask (H, W) bool. `earlier`: see `ObjectGroup.add_points`."""
        features = self.encode(frame).objects
        group = self._group_of(object_id)
        group.add_points(frame, object_id, clicks, features, earlier=earlier)
        return self._accept(group, frame, object_id)

    @torch.inference_mode()
    def give_mask(self, frame: int, object_id: int, mask: Tensor) -> Tensor:
        """Prompt one object with a mask (H, W), values in 0..1; returns its mask (H, W) bool."""
        features = self.encode(frame).objects
        group = self._group_of(object_id)
        group.add_masks(frame, [object_id], mask.unsqueeze(0), features)
        return self._accept(group, frame, object_id)

    def remove(self, ids: Iterable[int]) -> None:
        """Forget objects."""
        gone = set(ids)
        if not gone:
            return
        for group in self.groups:
            for object_id in [one for one in group.ids if one in gone]:
                group.remove(object_id)
        self.groups = [group for group in self.groups if group.ids]
        self.ledger = self.ledger.without(gone)
        self.given -= gone
        self.resting = [one for one in self.resting if gone.isdisjoint(one.group.ids)]
        for object_id in gone:
            self.last_seen.pop(object_id, None)

    def _detect(self, frame: int, features: EncodedFrame, concepts: Concepts | None) -> FrameDetections:
        if concepts is None:
            return no_detections(features.detector)
        return detect(self.detector, features.detector, concepts, frame, self.config)

    def _tracked(self, groups: Sequence[ObjectGroup], frame: int) -> TrackedMasks:
        """The masks of a frame, with holes filled and specks removed."""
        outputs = [one.output for group in groups if (one := group.bank.get(frame)) is not None]
        if not outputs:
            side = self.parts.heads.prompt_encoder.mask_side
            return TrackedMasks((), self.parts.tracker.no_obj_ptr.new_zeros(0, side, side), torch.zeros(0).numpy())
        masks = torch.cat([one.masks[:, 0] for one in outputs])
        return TrackedMasks(
            tuple(one for group in groups for one in group.ids),
            clean_masks(masks, self.config.hole_area),
            torch.cat([one.scores[:, 0] for one in outputs]).cpu().numpy(),
        )

    def _correct(self, plan: FramePlan, found: FrameDetections, frame: int, features: EncodedFrame) -> None:
        """Prompt tracks again with good detections; all objects of their groups are then remembered as prompted."""
        for group in self.groups:
            prompts = {one: plan.corrections.prompts[one] for one in group.ids if one in plan.corrections.prompts}
            if prompts:
                self._prompt(group, frame, tuple(prompts), found.masks[list(prompts.values())], features)

    def _add(self, plan: FramePlan, found: FrameDetections, frame: int, features: EncodedFrame) -> None:
        """Start a group for the new objects of each phrase."""
        concepts = [found.concept(index) for index in plan.new]
        for concept in dict.fromkeys(concepts):
            chosen = [row for row, own in enumerate(concepts) if own == concept]
            group = self._new_group()
            ids = tuple(plan.new_ids[row] for row in chosen)
            self._prompt(group, frame, ids, found.masks[[plan.new[row] for row in chosen]], features)
            self.groups.append(group)

    def _prompt(
        self, group: ObjectGroup, frame: int, ids: Sequence[int], logits: Tensor, features: EncodedFrame
    ) -> None:
        masks = correction_masks(logits, self.parts.tracker.mask_side).float()
        group.add_masks(frame, ids, masks, features.objects)
        group.remember_prompts(frame, features.objects)

    def _remember(self, frame: int, features: EncodedFrame, low_res: Tensor, compared: Sequence[int] | None) -> None:
        """Write the masks of all objects to memory."""
        if not len(low_res):
            return
        tracker = self.parts.tracker
        masks, scores = memory_masks(low_res, tracker.memory_mask_side, self.config.shrink_ratio, compared)
        embedding = features.objects.embedding
        memory = tracker.write_memory(embedding, masks.unsqueeze(1), scores.unsqueeze(1), binary=False)
        put_memory(self.groups, frame, memory)

    def _wake(self, resting: RestingObject) -> None:
        self.resting.remove(resting)
        self.groups.append(resting.group)
        (object_id,) = resting.group.ids
        self.ledger = self.ledger.born([object_id], [resting.score], [resting.concept])

    def _new_group(self) -> ObjectGroup:
        width, height = self.frames.size
        return ObjectGroup(self.parts, (height, width), self.frames.count)

    def _group_of(self, object_id: int) -> ObjectGroup:
        """The group of an object, which wakes if it rests; a new group for a new object."""
        for group in self.groups:
            if object_id in group.ids:
                return group
        for resting in [one for one in self.resting if object_id in one.group.ids]:
            self._wake(resting)
            return resting.group
        group = self._new_group()
        self.groups.append(group)
        return group

    def _accept(self, group: ObjectGroup, frame: int, object_id: int) -> Tensor:
        """Write a user's prompt to memory at once, and trust it over the detections around it; returns what is shown.

        As in the official code, the area of holes and specks is here in pixels of the clip.
        """
        shown = group.shown_masks(frame)[group.ids.index(object_id)]  # (1, H, W)
        group.remember_prompts(frame, self.encode(frame).objects)
        group.trust_clicks(frame, self.config.click_window)
        self.ledger = self.ledger.given_by_user(object_id)
        self.given.add(object_id)
        self.last_seen.pop(object_id, None)
        return clean_masks(shown, self.config.hole_area)[0] > 0

    def _retire(self, frame: int, tracks: TrackedMasks, plan: FramePlan) -> None:
        """Give back the memory of objects that were not seen for long; what was found of them stays.

        Objects that a user gave or corrected are never retired. Those that were there on the first frame of the
        propagation rest, since a propagation the other way from there needs them.
        """
        limit = self.config.retire_after
        if limit is None:
            return
        visible = has_pixels(tracks.masks > 0).tolist()
        for object_id, seen in zip(tracks.ids, visible, strict=True):
            alive = object_id in self.ledger.scores and object_id not in self.given
            if alive and (seen or object_id not in self.last_seen):
                self.last_seen[object_id] = frame
        self.last_seen.update(dict.fromkeys(plan.new_ids, frame))
        for object_id in [one for one, last in self.last_seen.items() if abs(frame - last) > limit]:
            group = self._group_of(object_id)
            rests = group.count is not None and self._start in group.tracked
            score, concept = self.ledger.scores[object_id], self.ledger.concepts[object_id]
            resting = RestingObject(group.only(object_id), score, concept)
            self.remove([object_id])
            if rests:
                forget_unread(resting.group, self._start)
                self.resting.append(resting)


def _probabilities(tracks: TrackedMasks) -> tuple[float, ...]:
    return tuple(torch.from_numpy(tracks.score_logits).sigmoid().tolist())
