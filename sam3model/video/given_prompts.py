"""The clicks, boxes and masks of a user, kept so that they survive a new start of a session."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from sam3model.errors import InputError
from sam3model.ops.masks import decode_rle, encode_rle
from sam3model.tracker.group import Clicks

MAX_ID = 10**9
"""The highest id that a user may give to an object."""


@dataclass(frozen=True, slots=True)
class GivenPrompt:
    """One prompt for one object on one frame: clicks (a box is two of them), or a mask as run lengths."""

    frame: int
    object_id: int
    clicks: Clicks | None = None
    rle: Mapping[str, Any] | None = None

    @classmethod
    def of_mask(cls, frame: int, object_id: int, mask: torch.Tensor) -> "GivenPrompt":
        """A prompt with a mask (H, W) of 0 and 1."""
        return cls(frame, object_id, rle=encode_rle(mask.cpu().numpy() > 0))

    def mask_on(self, device: torch.device) -> torch.Tensor:
        """The mask (H, W) float of a prompt without clicks."""
        return torch.from_numpy(decode_rle(self.rle or {})).float().to(device)


class GivenPrompts:
    """The prompts of the objects that a user gave, in their order; the last one of an object on a frame counts."""

    def __init__(self) -> None:
        self._prompts: dict[tuple[int, int], GivenPrompt] = {}

    def add(self, prompt: GivenPrompt) -> None:
        """Keep a prompt."""
        self._prompts.pop((prompt.object_id, prompt.frame), None)
        self._prompts[prompt.object_id, prompt.frame] = prompt

    def remove(self, object_id: int) -> None:
        """Forget the prompts of an object."""
        self._prompts = {key: one for key, one in self._prompts.items() if key[0] != object_id}

    def __iter__(self) -> Iterator[GivenPrompt]:
        return iter(list(self._prompts.values()))


def check_id(object_id: Any) -> int:
    """An id that a user gave. Raises `InputError` unless it is a whole number from 0 to `MAX_ID`."""
    if isinstance(object_id, bool) or not hasattr(object_id, "__index__"):
        raise InputError(f"an object id must be a whole number, not {object_id!r}")
    number = int(object_id)
    if not 0 <= number <= MAX_ID:
        raise InputError(f"object id {number} is out of range: ids are 0 to {MAX_ID}")
    return number
