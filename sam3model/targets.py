"""Ground truth of P prompts, packed without padding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sam3model.errors import InputError

_OF_TARGETS = ("boxes", "object_ids", "masks", "is_valid_mask")
_OF_PROMPTS = ("is_exhaustive", "semantic_masks", "is_pixel_exhaustive")


@dataclass(frozen=True, slots=True)
class Targets:
    """Ground truth of P prompts: the N_p targets of each prompt one after another, N in total.

    boxes (N, 4) normalised cxcywh. num_boxes (P,) int64, N_p of each prompt; always on the CPU, because it drives
    Python loops and a copy from the device would stall it. object_ids (N,) int64, negative for targets that do not
    count as visible. is_exhaustive (P,) bool: every instance of the phrase is annotated. masks (N, H, W) bool or None.
    is_valid_mask (N,) bool, False where the mask is unknown. semantic_masks (P, H, W) bool; None stands for the union
    of `masks`. is_pixel_exhaustive (P,) bool: the masks cover every pixel of what the phrase names; None: all do.
    """

    boxes: Tensor
    num_boxes: Tensor
    object_ids: Tensor
    is_exhaustive: Tensor
    masks: Tensor | None = None
    is_valid_mask: Tensor | None = None
    semantic_masks: Tensor | None = None
    is_pixel_exhaustive: Tensor | None = None

    @classmethod
    def from_prompts(
        cls,
        boxes: Sequence[Tensor],
        masks: Sequence[Tensor] | None = None,
        *,
        object_ids: Sequence[Tensor] | None = None,
        is_valid_mask: Sequence[Tensor] | None = None,
        is_exhaustive: Sequence[bool] | None = None,
        is_pixel_exhaustive: Sequence[bool] | None = None,
        semantic_masks: Tensor | None = None,
    ) -> "Targets":
        """Pack lists with one entry per prompt: boxes (N_p, 4), masks (N_p, H, W), ids (N_p,); N_p may be 0.

        By default, ids count from 0 in each prompt, every mask is valid and every prompt is exhaustive, to the pixel.

        Raises:
            InputError: the lists differ in length.
        """
        counts = [len(b) for b in boxes]
        for name, values in (("masks", masks), ("object_ids", object_ids), ("is_valid_mask", is_valid_mask)):
            if values is not None and [len(v) for v in values] != counts:
                raise InputError(f"targets: {name} must have one entry per box, and the prompts have {counts} boxes")
        for name, flags in (("is_exhaustive", is_exhaustive), ("is_pixel_exhaustive", is_pixel_exhaustive)):
            if flags is not None and len(flags) != len(counts):
                raise InputError(f"targets: {name} has {len(flags)} entries for {len(counts)} prompts")
        device = boxes[0].device if boxes else None
        ids = [torch.arange(n, device=device) for n in counts] if object_ids is None else object_ids
        packed_masks = None if masks is None else torch.cat(list(masks)).bool()
        valid = torch.ones(sum(counts), dtype=torch.bool, device=device)
        return cls(
            boxes=torch.cat(list(boxes)).float(),
            num_boxes=torch.tensor(counts, dtype=torch.int64),
            object_ids=torch.cat(list(ids)),
            is_exhaustive=torch.tensor(
                [True] * len(counts) if is_exhaustive is None else list(is_exhaustive), dtype=torch.bool, device=device
            ),
            masks=packed_masks,
            is_valid_mask=None if masks is None else valid if is_valid_mask is None else torch.cat(list(is_valid_mask)),
            semantic_masks=semantic_masks,
            is_pixel_exhaustive=None
            if is_pixel_exhaustive is None
            else torch.tensor(list(is_pixel_exhaustive), dtype=torch.bool, device=device),
        )

    def __len__(self) -> int:
        return self.boxes.shape[0]

    @property
    def prompts(self) -> int:
        """P, the number of prompts."""
        return self.num_boxes.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the boxes."""
        return self.boxes.device

    def of_prompts(self, first: int, last: int) -> "Targets":
        """The targets of the prompts from `first` up to, but not including, `last`."""
        start, stop = (int(self.num_boxes[:prompt].sum()) for prompt in (first, last))
        part = self._each(_OF_TARGETS, lambda value: value[start:stop])
        return part._each(("num_boxes", *_OF_PROMPTS), lambda value: value[first:last])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Targets":
        """Copy everything but the counts to `device`."""
        return self._each(_OF_TARGETS + _OF_PROMPTS, lambda value: value.to(device, non_blocking=non_blocking))

    def _each(self, names: Sequence[str], change: Callable[[Tensor], Tensor]) -> "Targets":
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(self, **{name: change(value) for name, value in given.items()})

    def starts(self) -> Tensor:
        """Packed index of the first target of each prompt, (P,) int64 on the CPU."""
        return self.num_boxes.cumsum(0) - self.num_boxes

    def prompt_index(self) -> Tensor:
        """The prompt of every target, (N,) int64."""
        return torch.repeat_interleave(torch.arange(self.prompts), self.num_boxes).to(self.device)

    def padded(self, values: Tensor, fill: float = 0) -> Tensor:
        """Packed values (N, ...) as (P, T, ...), T targets in the longest prompt; `fill` in the other places."""
        prompt = torch.repeat_interleave(torch.arange(self.prompts), self.num_boxes)
        slot = torch.arange(len(self)) - self.starts()[prompt]
        longest = int(self.num_boxes.max()) if self.prompts else 0
        out = values.new_full((self.prompts, longest, *values.shape[1:]), fill)
        out[prompt.to(values.device), slot.to(values.device)] = values
        return out

    def has_area(self) -> Tensor:
        """Whether each target has a width and height above 0, (N,) bool."""
        return (self.boxes[:, 2:] > 0).all(-1)

    def masked(self) -> Tensor:
        """Whether each prompt has at least one valid mask, (P,) bool."""
        masked = torch.zeros(self.prompts, dtype=torch.bool, device=self.device)
        valid = self.is_valid_mask
        masked[self.prompt_index() if valid is None else self.prompt_index()[valid]] = True
        return masked

    def pixels_known(self) -> Tensor:
        """Whether each prompt's semantic mask is known completely and can train the semantic head, (P,) bool."""
        given = self.is_pixel_exhaustive
        return torch.ones(self.prompts, dtype=torch.bool, device=self.device) if given is None else given

    def present(self) -> Tensor:
        """Whether each prompt has a visible target (id not negative, positive area), (P,) bool: the presence target."""
        seen = (self.has_area() & (self.object_ids >= 0)).to(self.boxes.dtype)
        return (
            torch.zeros(self.prompts, device=self.device, dtype=seen.dtype).index_add(0, self.prompt_index(), seen) > 0
        )
