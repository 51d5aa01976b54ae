"""One run over a clip: prompts, frame after frame, and going on after an interruption.

A tracker's memory cannot be stored, so a run that goes on starts a new session at the last finished frame: phrases are
searched there again, what they find is recognised by its overlap with the stored masks, and every other object that was
followed is shown to the tracker as its last mask. Ids stay as they were; the masks after it may differ a little from
those of an uninterrupted run. The journal notes where that happened.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam3agent.media import ClipMedia
from sam3agent.tracker import ANY_OBJECTS, ClipSession, ObjectTracker, TrackOptions
from sam3agent.tracking.track_journal import TrackJournal
from sam3agent.tracking.track_prompts import ShownObject, TrackPrompts, TrackSpan, read_mask
from sam3agent.tracking.tracked_frames import FrameTracks, StableIds, TrackedObject, rle_iou
from sam3model.ops.masks import decode_rle

if TYPE_CHECKING:
    from sam3model.frame_results import FrameResult

REMEMBERED_FRAMES = 30
"""An object of a phrase that has not been seen for this many tracked frames is not shown again when a run goes on."""

SAME_OBJECT_IOU = 0.5
"""What a phrase finds on the frame where a run goes on is a known object if it overlaps its mask this much."""


@dataclass(frozen=True, eq=False)
class TrackRun:
    """What to follow through which frames of a clip."""

    clip: ClipMedia
    prompts: TrackPrompts
    span: TrackSpan
    options: TrackOptions = ANY_OBJECTS

    def track(self, tracker: ObjectTracker) -> Iterator[FrameTracks]:
        """Every tracked frame, in the order of tracking. Raises what the tracker and the clip raise."""
        session, ids = self._open(tracker), self._new_ids()
        found = self._prompt_instances(session)
        shown = [self._show(session, ids, prompt) for prompt in self.prompts.objects]
        return self._propagate(session, ids, None, [result for result in (found, *shown) if result is not None])

    def track_on(self, tracker: ObjectTracker, journal: TrackJournal) -> Iterator[FrameTracks]:
        """The frames that a journal lacks; it must hold at least one. Raises what the tracker and the clip raise."""
        past = _Past.read(journal)
        session, ids = self._open(tracker), self._new_ids()
        ids.known = dict(past.known)
        ids.next_id = max([ids.next_id, *(number + 1 for number in past.known)])
        last = past.last.frame
        if self.prompts.examples and not self._is_past(self.prompts.examples.frame, last):
            self._prompt_instances(session)
        elif self.prompts.phrases:
            self._recognise(session, ids, past)
        for number, (frame, seen) in past.seen.items():
            if ids.session_id(number) is None and self._is_followed(number, frame, last):
                mask = decode_rle(seen.rle)
                ids.bind(session.add_mask(mask, frame=self.span.index(frame)).object_id, number)
        for prompt in self.prompts.objects:
            if not self._is_past(prompt.frame, last) or prompt.number not in past.seen:
                self._show(session, ids, prompt)
        frames = self._propagate(session, ids, self.span.index(last), [])
        return (tracked for tracked in frames if tracked.frame not in journal)

    def _open(self, tracker: ObjectTracker) -> ClipSession:
        return tracker.open(self.clip.part(self.span.frames), self.options)

    def _new_ids(self) -> StableIds:
        """Objects that a user shows keep the numbers that the user gave them; others are numbered after them."""
        return StableIds(max([1, *(prompt.number + 1 for prompt in self.prompts.objects)]))

    def _is_past(self, frame: int, last: int) -> bool:
        return not self.span.is_after(frame, last)

    def _is_followed(self, number: int, frame: int, last: int) -> bool:
        shown = any(prompt.number == number for prompt in self.prompts.objects)
        return shown or abs(self.span.index(last) - self.span.index(frame)) < REMEMBERED_FRAMES

    def _prompt_instances(self, session: ClipSession) -> "FrameResult | None":
        """Search phrases on the first frame, or examples on theirs."""
        examples, phrases = self.prompts.examples, self.prompts.phrases
        if examples:
            at, phrase = self.span.index(examples.frame), phrases[0] if phrases else None
            return session.add_exemplars(examples.boxes, examples.labels, frame=at, phrase=phrase)
        if phrases:
            return session.add_phrases(phrases, frame=self.span.index(self.span.first))
        return None

    def _recognise(self, session: ClipSession, ids: StableIds, past: "_Past") -> None:
        """Search phrases on the last frame, and bind what is found to the objects that were there."""
        at = past.last.frame
        result = session.add_phrases(self.prompts.phrases, frame=self.span.index(at))
        pairs = sorted(
            (
                (rle_iou(known.rle, result.masks[row]), known.id, int(result.ids[row]))
                for known in past.last.objects
                for row in range(len(result.ids))
                if known.area and known.phrase == result.phrases[row]
            ),
            reverse=True,
        )
        for iou, number, session_id in pairs:
            if iou >= SAME_OBJECT_IOU and ids.session_id(number) is None and session_id not in ids.ids:
                ids.bind(session_id, number)

    def _show(self, session: ClipSession, ids: StableIds, prompt: ShownObject) -> "FrameResult | None":
        """Show one object: its mask first, then box and clicks, each refining what was before."""
        at, known, shown = self.span.index(prompt.frame), ids.session_id(prompt.number), None
        if prompt.mask:
            mask = read_mask(*prompt.mask, self.clip.size)
            shown = session.add_mask(mask, frame=at, object_id=known)
            known = shown.object_id
        if prompt.box:
            shown = session.add_box(prompt.box, frame=at, object_id=known)
            known = shown.object_id
        if prompt.points:
            shown = session.add_points(prompt.points, prompt.labels, frame=at, object_id=known)
            known = shown.object_id
        if known is not None:
            ids.bind(known, prompt.number)
        return None if shown is None else shown.result

    def _propagate(
        self, session: ClipSession, ids: StableIds, start: int | None, prompted: "Sequence[FrameResult]"
    ) -> Iterator[FrameTracks]:
        """Results in the order of tracking. Backwards, the first is the latest of the prompted frame itself."""
        if self.span.reverse and prompted:
            first = max(result.frame for result in prompted)
            yield self._tracks(ids, next(result for result in reversed(prompted) if result.frame == first))
        for result in session.propagate(start=start, reverse=self.span.reverse):
            yield self._tracks(ids, result)

    def _tracks(self, ids: StableIds, result: "FrameResult") -> FrameTracks:
        return ids.tracked(result, self.span.frames[result.frame], float(result.time))


@dataclass(frozen=True)
class _Past:
    """What a journal says of the objects so far.

    last: the last finished frame. seen: frame and state of every object where it was last visible. known: phrase and
    score of every object.
    """

    last: FrameTracks
    seen: dict[int, tuple[int, TrackedObject]]
    known: dict[int, tuple[str | None, float]]

    @classmethod
    def read(cls, journal: TrackJournal) -> "_Past":
        last, seen, known = None, {}, {}
        for frame in journal.frames:
            last = journal.read(frame)
            for tracked in last.objects:
                known[tracked.id] = (tracked.phrase, tracked.score)
                if tracked.area:
                    seen[tracked.id] = (frame, tracked)
        if last is None:
            raise ValueError("the journal has no frame")
        return cls(last, seen, known)
