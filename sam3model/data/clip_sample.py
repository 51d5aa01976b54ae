"""A clip as a training sample: some of its frames with the masks of some of its objects."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ClipSample:
    """T frames of a clip and N objects.

    frames (T, 3, S, S): float32, normalised like still images. masks (T, N, H, W): bool, the visible pixels of each
    object, S / `mask_stride` on a side. annotated (T, N): bool; False where nothing is known about an object.
    """

    name: str
    frames: Tensor
    masks: Tensor
    annotated: Tensor


ClipSource = Callable[[int], ClipSample]
"""Sample by number, the same for the same number."""
