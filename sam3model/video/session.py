"""A session on a clip: prompts, propagation, corrections, and results with a fixed delay."""

from collections.abc import Iterator, Sequence
from types import TracebackType

from numpy.typing import ArrayLike

from sam3model.errors import InputError
from sam3model.frame_results import FrameResult
from sam3model.ops.resize import ImageLike
from sam3model.tracker.frame_ranges import FrameRanges
from sam3model.video.actions import Action, next_propagation
from sam3model.video.frame_detector import Exemplars
from sam3model.video.given_prompts import GivenPrompt, check_id
from sam3model.video.processing_order import video_order
from sam3model.video.pushed_frames import PushedFrames
from sam3model.video.session_prompts import exemplars_of, mask_of
from sam3model.video.session_work import PromptedObject, SessionParts, SessionWork

__all__ = ["PromptedObject", "SessionParts", "VideoSession"]


class VideoSession(SessionWork):
    """One clip being segmented; `with` closes it. Not for several threads at a time.

    Every call on a closed session raises `InputError`.
    """

    def __enter__(self) -> "VideoSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything, and close the source if it was opened for this session. Closing twice is harmless."""
        if self._closed:
            return
        self.reset()
        self._closed = True
        if self._owned:
            self.frames.close()

    @property
    def delay(self) -> int:
        """Number of frames after which the result of a frame is final and returned."""
        return self._results.delay

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects that are followed now."""
        return self._tracker.ledger.ids

    def add_phrases(self, phrases: Sequence[str], *, frame: int = 0) -> FrameResult | None:
        """Find every instance of each phrase in the whole clip; returns what is found on `frame`.

        Phrases add up. The clip is then processed anew: objects that phrases found get new ids, and corrections of them
        are dropped; objects that a user gave keep their ids and prompts. In a live session, everything goes on, new
        phrases hold from the next frame on, and nothing is returned.

        Raises:
            InputError: an empty phrase, a string instead of a list, or no such frame.
        """
        self._check_open()
        if not self._live:
            frame = self._checked_frame(frame)
        with self._unchanged_on_error():
            self._concepts.add_phrases(phrases)
            return self._concepts_changed(None if self._live else frame)

    def add_exemplars(
        self, boxes: ArrayLike, labels: ArrayLike | None = None, *, frame: int = 0, phrase: str | None = None
    ) -> FrameResult | None:
        """Find everything that looks like the boxes on `frame`; returns what is found there.

        Without a phrase, objects start only on this frame, and are then followed. In a live session, it must be the
        last frame. Else as `add_phrases`.

        Args:
            boxes: (n, 4) xyxy in pixels.
            labels: (n,) 1 for examples (default), 0 for counter-examples.
            frame: where the boxes are.
            phrase: what to look for besides; exemplars replace earlier ones of the same phrase.

        Raises:
            InputError: invalid boxes or labels, or no such frame.
        """
        self._check_open()
        prompt = exemplars_of(boxes, labels, self.frames.size, phrase).to(self._device)
        frame = self._checked_frame(frame)
        with self._unchanged_on_error():
            self._concepts.add_exemplars(Exemplars(frame, prompt), phrase)
            return self._concepts_changed(frame)

    def add_points(
        self, points: ArrayLike, labels: ArrayLike, *, frame: int, object_id: int | None = None
    ) -> PromptedObject:
        """Click on one object, new (None) or known; earlier clicks on it on this frame are replaced.

        Args:
            points: (n, 2) xy in pixels.
            labels: (n,) 1 inside the object, 0 outside.
            frame: where the points are; in a live session, the last one.
            object_id: a known object to correct, or an id for a new one.

        Raises:
            InputError: invalid points, labels or id, points outside the frame, or no such frame.
        """
        return self._click(points, labels, None, frame, object_id)

    def add_box(self, box: ArrayLike, *, frame: int, object_id: int | None = None) -> PromptedObject:
        """Draw a box, xyxy in pixels, around one object, new (None) or known. Raises as `add_points`."""
        return self._click(None, None, box, frame, object_id)

    def add_mask(self, mask: ArrayLike, *, frame: int, object_id: int | None = None) -> PromptedObject:
        """Give the mask (H, W) of one object, new (None) or known: true or positive inside.

        An empty mask says that a known object is not visible on this frame.

        Raises:
            InputError: a mask of another size, an empty one of a new object, an invalid id, or no such frame.
        """
        self._check_open()
        frame = self._checked_frame(frame)
        given = mask_of(mask, self.frames.size)
        number, kind = self._identify(object_id)
        if kind == "add" and not given.any():
            raise InputError("the mask is empty: a new object needs a mask with pixels in it")
        return self._prompt(GivenPrompt.of_mask(frame, number, given))

    def remove(self, object_id: int) -> None:
        """Forget an object, on all frames. Raises `InputError` if there is no such object."""
        self._check_open()
        object_id = check_id(object_id)
        if object_id not in self._tracker.ledger.scores and not self._results.knows(object_id):
            raise InputError(f"there is no object {object_id}: the objects are {list(self.object_ids)}")
        self._tracker.remove([object_id])
        self._results.remove(object_id)
        self._given.remove(object_id)
        self._prompted = [one for one in self._prompted if one[1] != object_id]
        self._behind.pop(object_id, None)
        self._history.append(Action("remove", ids=(object_id,)))

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> Iterator[FrameResult]:
        """Follow the objects through the clip and yield each frame once its result is final.

        Frames that were processed before are not processed again, except for objects that were corrected or added
        since; so a propagation that was left early goes on where it ended. It ends when another one begins, or the
        session is reset or gets another phrase.

        Args:
            start: first frame; default: the earliest prompted one (the latest, if reverse).
            frames: number of frames to go beyond the start frame; default: all.
            reverse: go backwards; the start frame, which has a result already, is then left out.

        Raises:
            InputError: nothing was prompted, no such frame, or a live session.
            BrokenFrameError: a frame cannot be read; all results before it have been yielded.
        """
        self._check_open()
        if self._live:
            raise InputError("a live session cannot propagate: push its frames one by one")
        if self._concepts.concepts is None and not self._tracker.ledger.ids:
            raise InputError("nothing to follow: add a phrase, a click, a box or a mask first")
        if frames is not None and (not hasattr(frames, "__index__") or (frames := int(frames)) < 0):
            raise InputError(f"the number of frames is {frames}: give 0 or more, and reverse=True to go backwards")
        if start is None:
            start = (max if reverse else min)(frame for frame, _ in self._prompted)
        start = self._checked_frame(start)
        work, ids = next_propagation(self._history, self.frames.count)
        if not (self._history and self._history[-1].tracks):  # else they are those of the last one, the other way
            self._behind |= {one: FrameRanges() for one in ids}
        self._history.append(Action(work, None if work == "fetch" else start, ids if work == "partial" else ()))
        self._results.set_aside()
        self._tracker.begin(start)
        self._run_number += 1
        order = video_order(start, frames, self.frames.count, reverse=reverse)
        return self._run(self._run_number, order, reverse, frozenset(ids))

    def push(self, frame: ImageLike, *, time: float | None = None) -> list[FrameResult]:
        """Process the next frame of a live source; returns results that became final, `delay` frames late.

        Raises:
            InputError: not a live session, or a frame of another size.
        """
        self._check_open()
        if not isinstance(self.frames, PushedFrames):
            raise InputError("this session reads a clip: use propagate, or open a live session")
        number = self.frames.push(frame, time)
        try:
            self._step(number, reverse=False)
        except BaseException:
            self.frames.take_back()
            self._tracker.encode.forget(number)
            raise
        return self._released(keep=self.delay)

    def finish(self) -> list[FrameResult]:
        """The results of a live session that are still held back."""
        self._check_open()
        return self._released(keep=0)
