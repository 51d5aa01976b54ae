"""The work behind a session: what its prompts and propagations do to tracker and results."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike

from sam3model.config import VideoConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import InputError
from sam3model.frame_results import FrameResult
from sam3model.frames import EndOfFramesError, FrameSource
from sam3model.structures import TextTokens
from sam3model.tracker.frame_ranges import FrameRanges
from sam3model.tracker.group import TrackerParts
from sam3model.video.actions import Action
from sam3model.video.clip_outputs import user_record
from sam3model.video.clip_tracker import ClipTracker, TrackedFrame
from sam3model.video.concept_list import ConceptList
from sam3model.video.frame_encoder import FrameEncoder
from sam3model.video.given_prompts import GivenPrompt, GivenPrompts, check_id
from sam3model.video.pushed_frames import PushedFrames
from sam3model.video.result_keeper import ResultKeeper
from sam3model.video.session_prompts import clicks_of, previous_mask
from sam3model.video.state_copies import copied
from sam3model.video.track_ledger import USER_GIVEN

_CHANGING_KINDS = (ResultKeeper, FrameRanges, ConceptList, GivenPrompts)


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


class SessionWork:
    """State of a session, and its steps."""

    def __init__(self, parts: SessionParts, frames: FrameSource, *, owned: bool = True) -> None:
        """owned: close `frames` with the session."""
        self.frames = frames
        self._parts = parts
        self._owned = owned
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget all prompts, objects and results."""
        self._check_open()
        self._concepts = ConceptList(self._parts.encode_phrases)
        self._given = GivenPrompts()
        self._start_over()

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this session is closed: open the clip again")

    @property
    def _device(self) -> torch.device:
        return self._parts.tracking.tracker.no_obj_ptr.device

    @property
    def _live(self) -> bool:
        return isinstance(self.frames, PushedFrames)

    def _start_over(self) -> None:
        """Forget objects and results, but neither what is looked for nor what a user gave."""
        parts = self._parts
        rounded = parts.tracking.tracker.config.bfloat16_memory
        encoder = FrameEncoder(parts.detector, parts.tracking.heads, self.frames, parts.preprocess, rounded)
        self._tracker = ClipTracker(parts.tracking, parts.detector, parts.config, encoder, self.frames)
        self._results = ResultKeeper(self.frames, parts.config, forget=self._live)
        self._results.name_concepts(self._concepts.names)
        self._history: list[Action] = []
        self._prompted: list[tuple[int, int | None]] = []  # frames, with the object if the prompt was for one
        self._behind: dict[int, FrameRanges] = {}  # objects that changed, and where each was tracked since
        self._run_number = getattr(self, "_run_number", 0) + 1

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Leave the session as it was if a call fails."""
        before = {name: copied(value, *_CHANGING_KINDS) for name, value in vars(self).items()}
        with self._tracker.unchanged_on_error():
            try:
                yield
            except BaseException:
                vars(self).update(before)
                raise

    def _concepts_changed(self, frame: int | None) -> FrameResult | None:
        """Look for the concepts from now on (live) or in the whole clip; returns what is found on `frame`."""
        if self._live:
            self._results.name_concepts(self._concepts.names)
        else:
            self._start_over()
            for prompt in self._given:
                self._prompt(prompt)
        if frame is None:
            return None
        self._prompted.append((frame, None))
        self._track(frame, reverse=False)
        result = self._results.result(frame, hidden=())
        self._results.settle(frame)
        return result

    def _click(
        self,
        points: ArrayLike | None,
        labels: ArrayLike | None,
        box: ArrayLike | None,
        frame: int,
        object_id: int | None,
    ) -> PromptedObject:
        self._check_open()
        frame = self._checked_frame(frame)
        side = self._parts.tracking.tracker.image_size
        clicks = clicks_of(points, labels, box, self.frames.size, side).to(self._device)
        return self._prompt(GivenPrompt(frame, self._identify(object_id)[0], clicks))

    def _identify(self, object_id: int | None) -> tuple[int, Literal["add", "refine"]]:
        """The id to use, and whether it is new or known."""
        ledger = self._tracker.ledger
        if object_id is None:
            return ledger.max_id + 1, "add"
        number = check_id(object_id)
        known = number in ledger.scores or any(number in one.group.ids for one in self._tracker.resting)
        return number, "refine" if known else "add"

    def _prompt(self, prompt: GivenPrompt) -> PromptedObject:
        """Give a prompt to the tracker, record it and return the frame with it."""
        with self._unchanged_on_error():
            return self._prompted_object(prompt)

    def _prompted_object(self, prompt: GivenPrompt) -> PromptedObject:
        frame, (object_id, kind) = prompt.frame, self._identify(prompt.object_id)
        shown = self._results.object_on(frame, object_id)
        if prompt.clicks is None:
            mask = self._tracker.give_mask(frame, object_id, prompt.mask_on(self._device))
        else:
            side = self._parts.tracking.heads.prompt_encoder.mask_side
            earlier = None if shown is None else previous_mask(shown.mask, side).to(self._device)
            mask = self._tracker.click(frame, object_id, prompt.clicks, earlier)
        concept = self._tracker.ledger.concepts[object_id]
        self._results.put_object(frame, object_id, user_record(mask.cpu().numpy(), concept))
        self._results.set_score(object_id, 1.0)
        self._history.append(Action(kind, frame, (object_id,)))
        self._prompted.append((frame, object_id))
        if concept == USER_GIVEN and not self._live:
            self._given.add(prompt)
        result = self._results.result(frame, hidden=())
        self._results.settle(frame)
        return PromptedObject(object_id, result)

    def _run(self, number: int, order: Iterable[int], reverse: bool, again: Set[int]) -> Iterator[FrameResult]:
        """Results of a propagation. again: objects that are tracked again on every frame of it."""
        for frame in order:
            if number != self._run_number:
                raise InputError("this propagation has ended: a later call to the session took its place")
            try:
                released = self._advance(frame, reverse, again)
            except EndOfFramesError:
                break  # a source of unknown length has ended
            except Exception:
                yield from self._results.release(keep=0)
                raise
            yield from released
        done = self._results.processed_count
        self._behind = {one: frames for one, frames in self._behind.items() if len(frames) < done}
        yield from self._results.release(keep=0)

    def _advance(self, frame: int, reverse: bool, again: Set[int]) -> list[FrameResult]:
        """Process a frame, or only what has changed on it; returns the results that are final."""
        if not self._results.processed(frame):
            self._step(frame, reverse)
            return self._results.release_final()
        ledger = self._tracker.ledger
        changed = {*again, *(one for one, frames in self._behind.items() if frame not in frames)}
        changed.intersection_update(ledger.scores)
        if changed:
            with self._tracker.unchanged_on_error():
                tracked = self._tracker.retrack(frame, changed, reverse=reverse)
                self._results.merge(tracked, changed, ledger.scores, ledger.concepts)
            self._caught_up(frame, changed)
        self._results.hold(frame)
        return self._results.release_final()

    def _step(self, frame: int, reverse: bool) -> None:
        self._track(frame, reverse)
        self._results.hold(frame, fresh=True)
        self._caught_up(frame, self._behind.keys())

    def _caught_up(self, frame: int, ids: Set[int]) -> None:
        """These objects were tracked on a frame as they are now."""
        for one in self._behind.keys() & ids:
            self._behind[one].add(frame, reverse=False)

    def _track(self, frame: int, reverse: bool) -> None:
        """Process all objects of a frame; without anything to look for, they are only tracked."""
        with self._tracker.unchanged_on_error():
            if self._concepts.concepts is None:
                tracked = self._tracker.retrack(frame, self._tracker.ledger.ids, reverse=reverse)
            else:
                tracked = self._tracker.step(frame, self._concepts.concepts, reverse=reverse)
            self._keep(tracked)

    def _keep(self, tracked: TrackedFrame) -> None:
        ledger = self._tracker.ledger
        self._results.keep(tracked, ledger.scores, ledger.concepts)

    def _released(self, keep: int) -> list[FrameResult]:
        released = self._results.release(keep)
        if isinstance(self.frames, PushedFrames):
            for result in released:
                self.frames.forget_time(result.frame)
        return released

    def _checked_frame(self, frame: int) -> int:
        """A frame number, of a live session that of the last frame. Raises `InputError` if there is no such frame."""
        try:
            frame = index(frame)
        except TypeError as error:
            raise InputError(f"a frame number must be a whole number, not {frame!r}") from error
        if isinstance(self.frames, PushedFrames):
            self.frames.check_last(frame)
        count = self.frames.count
        if frame < 0 or (count is not None and frame >= count):
            known = "" if count is None else f": its frames are 0 to {count - 1}"
            raise InputError(f"the clip has no frame {frame}{known}")
        return frame
