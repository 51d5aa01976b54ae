"""A session on a clip: prompts, propagation, corrections, and results with a fixed delay."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from sam3model.config import VideoConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import InputError
from sam3model.frame_results import FrameResult
from sam3model.frames import BrokenFrameError, EndOfFramesError, FrameSource
from sam3model.ops.masks import encode_rle, mask_to_box
from sam3model.ops.resize import ImageLike
from sam3model.structures import VISUAL, TextTokens
from sam3model.tracker.group import TrackerParts
from sam3model.video.actions import Action, Work, next_propagation
from sam3model.video.clip_outputs import ObjectRecord
from sam3model.video.clip_tracker import ClipTracker, TrackedFrame
from sam3model.video.frame_detector import Concepts, Exemplars
from sam3model.video.frame_encoder import FrameEncoder
from sam3model.video.processing_order import video_order
from sam3model.video.pushed_frames import PushedFrames
from sam3model.video.result_keeper import ResultKeeper
from sam3model.video.session_prompts import clicks_of, exemplars_of, mask_of, previous_mask


@dataclass(frozen=True, slots=True)
class PromptedObject:
    """The object that a click, box or mask was for, and the frame with it."""

    object_id: int
    result: FrameResult


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a session needs of a predictor.

    encode_phrases: phrases -> their text tokens. preprocess: a frame (H, W, 3) uint8 -> model input (3, S, S).
    """

    detector: Sam3ImageModel
    tracking: TrackerParts
    config: VideoConfig
    encode_phrases: Callable[[Sequence[str]], TextTokens]
    preprocess: Callable[[np.ndarray], torch.Tensor]


class VideoSession:
    """One clip being segmented. Not for several threads at a time."""

    def __init__(self, parts: SessionParts, frames: FrameSource) -> None:
        self.frames = frames
        self._parts = parts
        self.reset()

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

        Phrases add up. Objects and results so far are dropped, so give phrases before clicks. In a live session they
        hold from the next frame on, and nothing is returned.

        Raises:
            InputError: an empty phrase, a string instead of a list, or no such frame.
        """
        if isinstance(phrases, str):
            raise InputError("phrases must be a list of phrases, not one string")
        if not phrases or any(not phrase.strip() for phrase in phrases):
            raise InputError("a phrase is empty: give short noun phrases, e.g. 'red ball'")
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._names]
        return self._add_concepts(new, [None] * len(new), frame)

    def add_exemplars(
        self, boxes: ArrayLike, labels: ArrayLike | None = None, *, frame: int = 0, phrase: str | None = None
    ) -> FrameResult | None:
        """Find everything that looks like the boxes on `frame`; returns what is found there.

        Without a phrase, objects start only on this frame, and are then followed.

        Args:
            boxes: (n, 4) xyxy in pixels.
            labels: (n,) 1 for examples (default), 0 for counter-examples.
            frame: where the boxes are.
            phrase: what to look for besides.

        Raises:
            InputError: invalid boxes or labels, or no such frame.
        """
        prompt = exemplars_of(boxes, labels, self.frames.size).to(self._device)
        return self._add_concepts([phrase], [Exemplars(frame, prompt)], frame)

    def add_points(
        self, points: ArrayLike, labels: ArrayLike, *, frame: int, object_id: int | None = None
    ) -> PromptedObject:
        """Click on one object, new (None) or known; earlier clicks on it on this frame are replaced.

        Args:
            points: (n, 2) xy in pixels.
            labels: (n,) 1 inside the object, 0 outside.
            frame: where the points are.
            object_id: a known object to correct, or an id for a new one.

        Raises:
            InputError: invalid points or labels, points outside the frame, or no such frame.
        """
        return self._click(points, labels, None, frame, object_id)

    def add_box(self, box: ArrayLike, *, frame: int, object_id: int | None = None) -> PromptedObject:
        """Draw a box, xyxy in pixels, around one object, new (None) or known. Raises as `add_points`."""
        return self._click(None, None, box, frame, object_id)

    def add_mask(self, mask: ArrayLike, *, frame: int, object_id: int | None = None) -> PromptedObject:
        """Give the mask (H, W) bool of one object, new (None) or known.

        Raises:
            InputError: a mask of another size, or no such frame.
        """
        self._check_frame(frame)
        given = mask_of(mask, self.frames.size).to(self._device)
        object_id, kind = self._identify(object_id)
        return self._accepted(frame, object_id, self._tracker.give_mask(frame, object_id, given), kind)

    def remove(self, object_id: int) -> None:
        """Forget an object, on all frames. Raises `InputError` if there is no such object."""
        if object_id not in self._tracker.ledger.scores:
            raise InputError(f"there is no object {object_id}: the objects are {list(self.object_ids)}")
        self._tracker.remove([object_id])
        self._results.remove(object_id)
        self._history.append(Action("remove", ids=(object_id,)))

    def reset(self) -> None:
        """Forget all prompts, objects and results."""
        self._names: list[str | None] = []
        self._exemplars: list[Exemplars | None] = []
        self._concepts: Concepts | None = None
        self._start_over()

    def propagate(
        self, *, start: int | None = None, frames: int | None = None, reverse: bool = False
    ) -> Iterator[FrameResult]:
        """Follow the objects through the clip and yield each frame once its result is final.

        After a first pass, only corrected or added objects are tracked again; when nothing has changed, results come
        from the first pass.

        Args:
            start: first frame; default: the earliest prompted one (the latest, if reverse).
            frames: number of frames to go from there; default: all.
            reverse: go backwards; the start frame, which has a result already, is then left out.

        Raises:
            InputError: nothing was prompted, or no such frame.
            BrokenFrameError: a frame cannot be read; all results before it have been yielded.
        """
        if self._concepts is None and not self._tracker.ledger.ids:
            raise InputError("nothing to follow: add a phrase, a click, a box or a mask first")
        if start is None:
            start = (max if reverse else min)(self._prompted)
        self._check_frame(start)
        work, ids = self._next_work()
        self._history.append(Action(work, None if work == "fetch" else start, ids if work == "partial" else ()))
        order = video_order(start, frames, self.frames.count, reverse=reverse)
        return self._run(work, order, ids, reverse)

    def push(self, frame: ImageLike, *, time: float | None = None) -> list[FrameResult]:
        """Process the next frame of a live source; returns results that became final, `delay` frames late.

        Raises:
            InputError: not a live session, or a frame of another size.
        """
        if not isinstance(self.frames, PushedFrames):
            raise InputError("this session reads a clip: use propagate, or open a live session")
        self._step(self.frames.push(frame, time), reverse=False)
        released = self._results.release(keep=self.delay)
        for result in released:
            self.frames.forget_time(result.frame)
        return released

    def finish(self) -> list[FrameResult]:
        """The results that are still held back."""
        return self._results.release(keep=0)

    @property
    def _device(self) -> torch.device:
        return self._parts.tracking.tracker.no_obj_ptr.device

    @property
    def _side(self) -> int:
        return self._parts.tracking.tracker.image_size

    @property
    def _live(self) -> bool:
        return isinstance(self.frames, PushedFrames)

    def _start_over(self) -> None:
        """Forget objects and results, but not what is looked for."""
        parts = self._parts
        rounded = parts.tracking.tracker.config.bfloat16_memory
        encoder = FrameEncoder(parts.detector, parts.tracking.heads, self.frames, parts.preprocess, rounded)
        self._tracker = ClipTracker(parts.tracking, parts.detector, parts.config, encoder, self.frames)
        self._results = ResultKeeper(self.frames, parts.config, self._names, forget=self._live)
        self._history: list[Action] = []
        self._prompted: list[int] = []

    def _add_concepts(
        self, names: Sequence[str | None], exemplars: Sequence[Exemplars | None], frame: int
    ) -> FrameResult | None:
        if not self._live:
            self._check_frame(frame)
        self._names += names
        self._exemplars += exemplars
        text = self._parts.encode_phrases([VISUAL if name is None else name for name in self._names])
        self._concepts = Concepts(tuple(self._names), text, tuple(self._exemplars))
        self._start_over()
        if self._live:
            return None
        self._prompted.append(frame)
        self._keep(self._tracker.step(frame, self._concepts))
        return self._results.result(frame, hidden=())

    def _click(
        self,
        points: ArrayLike | None,
        labels: ArrayLike | None,
        box: ArrayLike | None,
        frame: int,
        object_id: int | None,
    ) -> PromptedObject:
        self._check_frame(frame)
        clicks = clicks_of(points, labels, box, self.frames.size, self._side).to(self._device)
        object_id, kind = self._identify(object_id)
        shown = self._results.object_on(frame, object_id)
        side = self._parts.tracking.heads.prompt_encoder.mask_side
        earlier = None if shown is None else previous_mask(shown.mask, side).to(self._device)
        return self._accepted(frame, object_id, self._tracker.click(frame, object_id, clicks, earlier), kind)

    def _identify(self, object_id: int | None) -> tuple[int, str]:
        """The id to use, and whether it is new ("add") or known ("refine")."""
        ledger = self._tracker.ledger
        if object_id is None:
            return ledger.max_id + 1, "add"
        if object_id < 0:
            raise InputError(f"object id {object_id} is negative: ids start at 0")
        return object_id, "refine" if object_id in ledger.scores else "add"

    def _accepted(self, frame: int, object_id: int, mask: torch.Tensor, kind: str) -> PromptedObject:
        """Record a prompt of a user and return the frame with it."""
        array = mask.cpu().numpy()
        x0, y0, x1, y1 = mask_to_box(array)
        group = self._tracker.ledger.groups[object_id]
        record = (
            ObjectRecord(encode_rle(array), (x0, y0, x1 - 1, y1 - 1), 1.0, 1.0, 1.0, group) if array.any() else None
        )
        self._results.put_object(frame, object_id, record)
        self._results.set_score(object_id, 1.0)
        self._history.append(Action("refine" if kind == "refine" else "add", frame, (object_id,)))
        self._prompted.append(frame)
        return PromptedObject(object_id, self._results.result(frame, hidden=()))

    def _next_work(self) -> tuple[Work, tuple[int, ...]]:
        """What the next propagation has to do. With something to look for, the first one is always complete."""
        if self._concepts is not None and not any(action.kind == "full" for action in self._history):
            return "full", ()
        return next_propagation(self._history, self.frames.count)

    def _run(self, work: Work, order: Iterable[int], ids: tuple[int, ...], reverse: bool) -> Iterator[FrameResult]:
        if work == "fetch":
            yield from (self._results.fetch(frame) for frame in order if self._results.has(frame))
            return
        try:
            for frame in order:
                if work == "full":
                    self._step(frame, reverse)
                    yield from self._results.release(keep=self.delay)
                else:
                    tracked = self._tracker.retrack(frame, ids, reverse=reverse)
                    self._results.merge(tracked, ids, self._tracker.ledger.scores, self._tracker.ledger.groups)
                    yield self._results.result(frame)
        except EndOfFramesError:
            pass  # a source of unknown length has ended
        except BrokenFrameError:
            yield from self._results.release(keep=0)
            raise
        yield from self._results.release(keep=0)

    def _step(self, frame: int, reverse: bool) -> None:
        self._keep(self._tracker.step(frame, self._concepts, reverse=reverse))
        self._results.hold(frame)

    def _keep(self, tracked: TrackedFrame) -> None:
        ledger = self._tracker.ledger
        self._results.keep(tracked, ledger.scores, ledger.groups)

    def _check_frame(self, frame: int) -> None:
        count = self.frames.count
        if frame < 0 or (count is not None and frame >= count):
            known = "" if count is None else f": its frames are 0 to {count - 1}"
            raise InputError(f"the clip has no frame {frame}{known}")
