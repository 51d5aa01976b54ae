"""Objects that are followed as one batch with one memory, and the prompts that a user gives for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.errors import InputError
from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt
from sam3model.tracker.frame_ranges import FrameRanges
from sam3model.tracker.memory_bank import FrameMemory, MemoryBank, ObjectOutput, concatenate
from sam3model.tracker.memory_plan import MemoryPlan, plan_memory, uses_candidates
from sam3model.tracker.tracker_model import CERTAIN, NO_OBJECT, MemoryTokens, Tracker, upsample_mask

MAX_POINTS = 16
"""Of more points on one frame, only the first and the last half of this number count."""

PROMPT_CLAMP = 32.0
"""Limit of the logits of an earlier mask that is used as a prompt."""


@dataclass(frozen=True, slots=True)
class TrackerParts:
    """The modules that track: mask heads and tracker."""

    heads: InteractiveHeads
    tracker: Tracker


@dataclass(frozen=True, slots=True)
class Draft:
    """The output for one prompted object before the frame is written to memory.

    output: of one object. shown (1, 1, H, W) bool: for mask prompts, the mask at the size of the clip.
    """

    output: ObjectOutput
    shown: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Clicks:
    """All points of one object on one frame: (K, 2) in pixels of the model input, labels (K,)."""

    points: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Clicks":
        """The same on another device."""
        return Clicks(self.points.to(device), self.labels.to(device))

    def limited(self) -> "Clicks":
        """At most `MAX_POINTS` points."""
        if len(self.labels) <= MAX_POINTS:
            return self
        half = MAX_POINTS // 2
        keep = torch.cat((torch.arange(half), torch.arange(len(self.labels) - half, len(self.labels))))
        return Clicks(self.points[keep], self.labels[keep])


class ObjectGroup:
    """Objects with a common memory (the official "inference state" of the tracker).

    size: (height, width) of the clip. count: number of frames; None if unknown.
    """

    def __init__(self, parts: TrackerParts, size: tuple[int, int], count: int | None) -> None:
        self.parts = parts
        self.size = size
        self.count = count
        self.ids: list[int] = []
        self.bank = MemoryBank()
        self.tracked = FrameRanges()
        self._drafts: dict[int, dict[int, Draft]] = {}
        self._clicks: dict[tuple[int, int], Clicks] = {}
        self._mask_prompts: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self.ids)

    def add_points(
        self,
        frame: int,
        object_id: int,
        clicks: Clicks,
        features: ObjectFeatures,
        *,
        keep_old: bool = False,
        use_memory: bool = False,
        earlier: Tensor | None = None,
    ) -> ObjectOutput:
        """Prompt an object with points on a frame; a box is two points with labels 2 and 3.

        keep_old: add to earlier points on this frame. use_memory: let a correction read the memory. earlier: the mask
        (1, 1, h, w) that was shown on this frame, if memory has none; it is corrected, not replaced.

        Raises:
            InputError: a new object after tracking has started.
        """
        row = self._row(object_id)
        old = self._clicks.get((frame, object_id))
        if keep_old and old is not None:
            clicks = Clicks(torch.cat((old.points, clicks.points)), torch.cat((old.labels, clicks.labels)))
        self._clicks[frame, object_id] = clicks
        self._mask_prompts.discard((frame, object_id))
        clicks = clicks.limited()
        direction = self.tracked.direction(frame)
        previous = self._output_on(frame, object_id)
        mask = earlier if previous is None else previous.masks
        mask = None if mask is None else mask.clamp(-PROMPT_CLAMP, PROMPT_CLAMP)
        prompt = ObjectPrompt(clicks.points.unsqueeze(0), clicks.labels.unsqueeze(0), mask)
        embedding = self.parts.heads.without_memory(features.embedding)
        if use_memory and direction is not None:
            plan = self.plan(frame, reverse=direction)
            rows = torch.tensor([row])
            embedding = self.parts.tracker.read_memory(features.embedding, self.tokens(plan, rows))
        output = self.parts.tracker.predict(
            self.parts.heads,
            embedding,
            features,
            prompt,
            candidates=uses_candidates(len(clicks.labels), first_prompt=direction is None),
        )
        self._drafts.setdefault(frame, {})[object_id] = Draft(output)
        return output

    def add_masks(self, frame: int, ids: Sequence[int], masks: Tensor, features: ObjectFeatures) -> ObjectOutput:
        """Prompt objects with masks (N, h, w) on a frame, values in 0..1.

        Raises:
            InputError: a new object after tracking has started.
        """
        for object_id in ids:
            self._row(object_id)
        given = masks.unsqueeze(1).float()
        side = self.parts.tracker.mask_side
        output = self.parts.tracker.accept_mask(self.parts.heads, features, _resize_soft(given, (side, side)))
        drafts = self._drafts.setdefault(frame, {})
        for row, object_id in enumerate(ids):
            inside = _resize_soft(given[row : row + 1], self.size) > 0.5
            for other, draft in drafts.items():
                if draft.shown is not None:
                    drafts[other] = replace(draft, shown=draft.shown & ~inside)
            drafts[object_id] = Draft(output.rows(slice(row, row + 1)), inside)
            self._clicks.pop((frame, object_id), None)
            self._mask_prompts.add((frame, object_id))
        return output

    def remember_prompts(self, frame: int, features: ObjectFeatures) -> None:
        """Write the prompts of a frame to memory (official "preflight"): it becomes a conditioning frame."""
        drafts = self._drafts.pop(frame)
        rows = [self._consolidated(frame, object_id, drafts.get(object_id)) for object_id in self.ids]
        output = concatenate(rows)
        large = upsample_mask(output.masks, self.parts.tracker.image_shape)
        memory = self.parts.tracker.write_memory(
            features.embedding, without_overlaps(large), output.scores, binary=True
        )
        self.bank.condition(frame, FrameMemory(output, memory))

    def shown_masks(self, frame: int) -> Tensor:
        """Mask logits of all objects on a frame at the size of the clip, (N, 1, H, W); prompts count at once."""
        drafts = self._drafts.get(frame, {})
        rows = []
        for object_id in self.ids:
            draft = drafts.get(object_id)
            if draft is not None and draft.shown is not None:
                rows.append(_as_logits(draft.shown))
                continue
            output = self._output_on(frame, object_id)
            masks = self._nothing().masks if output is None else output.masks
            rows.append(upsample_mask(masks, self.size))
        return torch.cat(rows)

    def plan(self, frame: int, reverse: bool) -> MemoryPlan:
        """What a frame reads."""
        bank = self.bank
        return plan_memory(
            frame, tuple(bank.conditioning), bank.seen(), self.parts.tracker.config, count=self.count, reverse=reverse
        )

    def tokens(self, plan: MemoryPlan, rows: Tensor | None = None) -> MemoryTokens:
        """The memory of a plan, of all objects or of some."""

        def memory_of(frame: int) -> FrameMemory:
            found = self.bank.get(frame)
            if found is None:
                raise InputError(f"frame {frame} has no memory")
            return found if rows is None else found.rows(rows)

        maps = [(one.memory, row) for frame, row in plan.maps if (one := memory_of(frame)).memory is not None]
        pointers = [(memory_of(frame).output.pointers, offset) for frame, offset in plan.pointers]
        return self.parts.tracker.join_memory(
            [(memory, row) for memory, row in maps if memory is not None], pointers, plan.pointer_span
        )

    def only(self, object_id: int) -> "ObjectGroup":
        """A group of one object, with its memory."""
        group = ObjectGroup(self.parts, self.size, self.count)
        group.ids, group.tracked = [object_id], self.tracked.copy()
        group.bank = self.bank.select(torch.tensor([self.ids.index(object_id)]))
        group._clicks = {key: clicks for key, clicks in self._clicks.items() if key[1] == object_id}
        group._mask_prompts = {key for key in self._mask_prompts if key[1] == object_id}
        return group

    def remove(self, object_id: int) -> None:
        """Forget an object. Frames on which only it had a prompt become ordinary frames."""
        rows = torch.tensor([row for row, one in enumerate(self.ids) if one != object_id], dtype=torch.long)
        prompted = {frame for frame, one in self.prompts() if one == object_id}
        self.ids.remove(object_id)
        self._clicks = {key: clicks for key, clicks in self._clicks.items() if key[1] != object_id}
        self._mask_prompts = {key for key in self._mask_prompts if key[1] != object_id}
        for frame, drafts in list(self._drafts.items()):
            drafts.pop(object_id, None)
            if not drafts:
                del self._drafts[frame]
        for frame in prompted.difference(frame for frame, _ in self.prompts()):
            if frame in self.bank.conditioning:
                self.bank.demote(frame)
                self.tracked.discard(frame)
        self.bank = self.bank.select(rows)

    def trust_clicks(self, frame: int, window: int) -> None:
        """After a click on `frame`: conditioning frames within `window` frames that have masks only become ordinary."""
        clicked = self.clicked_frames()
        if frame not in clicked:
            return
        for one in [one for one in self.bank.conditioning if abs(one - frame) <= window and one not in clicked]:
            self.bank.demote(one)
            self._mask_prompts = {key for key in self._mask_prompts if key[0] != one}

    def forget_prompts(self) -> None:
        """Forget which objects had mask prompts on frames that are no longer conditioning frames."""
        kept = {*self.bank.conditioning, *self._drafts}
        self._mask_prompts = {key for key in self._mask_prompts if key[0] in kept}

    def prompts(self) -> set[tuple[int, int]]:
        """(frame, object) of every prompt."""
        return {*self._clicks, *self._mask_prompts}

    def clicked_frames(self) -> set[int]:
        """Frames with points of any object."""
        return {frame for frame, _ in self._clicks}

    def drafted_frames(self) -> list[int]:
        """Frames with prompts that are not in memory yet."""
        return sorted(self._drafts)

    def _row(self, object_id: int) -> int:
        if object_id not in self.ids:
            if len(self.tracked) or self.bank.conditioning:
                raise InputError(
                    f"object {object_id} is new: add objects before tracking starts, or reset the session first"
                )
            self.ids.append(object_id)
        return self.ids.index(object_id)

    def _output_on(self, frame: int, object_id: int) -> ObjectOutput | None:
        draft = self._drafts.get(frame, {}).get(object_id)
        if draft is not None:
            return draft.output
        memory, row = self.bank.get(frame), self.ids.index(object_id)
        if memory is None or row >= len(memory.output.masks):
            return None  # the object was added after this frame was remembered
        return memory.output.rows(slice(row, row + 1))

    def _consolidated(self, frame: int, object_id: int, draft: Draft | None) -> ObjectOutput:
        """Output of one object in the form that all objects of a conditioning frame share."""
        if draft is None:
            output = self._output_on(frame, object_id) or self._nothing()
        elif draft.shown is None:
            output = draft.output
        else:
            side = self._low_side
            output = replace(draft.output, masks=_resize_soft(_as_logits(draft.shown), (side, side)))
        return replace(output, ious=output.ious.new_ones(1, 1))

    def _nothing(self) -> ObjectOutput:
        pointer = self.parts.tracker.no_obj_ptr
        masks = torch.full((1, 1, self._low_side, self._low_side), NO_OBJECT, device=pointer.device)
        ones = torch.ones(1, 1, device=pointer.device)
        return ObjectOutput(masks, ones, pointer, CERTAIN * ones)

    @property
    def _low_side(self) -> int:
        return self.parts.heads.prompt_encoder.mask_side


def without_overlaps(logits: Tensor) -> Tensor:
    """Masks (N, ..., h, w) in which only the highest logit of each pixel stays; the others are at most -10."""
    if len(logits) <= 1:
        return logits
    winner = logits.argmax(0, keepdim=True)
    own = torch.arange(len(logits), device=logits.device).view(-1, *[1] * (logits.ndim - 1))
    return torch.where(winner == own, logits, logits.clamp(max=-CERTAIN))


def _as_logits(mask: Tensor) -> Tensor:
    return torch.where(mask, -NO_OBJECT, NO_OBJECT)


def _resize_soft(mask: Tensor, size: tuple[int, int]) -> Tensor:
    if mask.shape[-2:] == size:
        return mask
    return F.interpolate(mask, size, mode="bilinear", align_corners=False, antialias=True)
