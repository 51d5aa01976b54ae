"""Annotated clips in memory or on disk, whatever format they came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.data.faults import Faults
from sam3model.data.segmentations import Rle, coco

ObjectMask = NDArray[np.bool_] | Rle | None
"""A mask (H, W), or its compressed RLE; None: the object is known to be hidden or out of the image."""

FrameMasks = Mapping[str, ObjectMask]
"""Masks by object on one frame. Nothing is known there about an object that is missing."""


class ClipFrames(Protocol):
    """The frames of one clip, numbered from 0."""

    @property
    def count(self) -> int:
        """Number of frames."""
        ...

    def read(self, t: int) -> Tensor:
        """Frame `t` (3, H, W) uint8. Raises `DataError`, a short reason, if it cannot be used."""
        ...

    def close(self) -> None:
        """Release files."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedClip:
    """An opened clip.

    size: width and height of frames and masks. objects: the phrase of every object by its name, "" if it has none.
    annotated: numbers of the frames with annotations, in order. masks: reads those of one of these frames; raises
    `DataError`, a short reason, if they cannot be used.
    """

    name: str
    size: tuple[int, int]
    frames: ClipFrames
    objects: Mapping[str, str]
    annotated: tuple[int, ...]
    masks: Callable[[int], FrameMasks]


@dataclass(frozen=True, slots=True, eq=False)
class ClipRecord:
    """A clip that has not been opened yet. open: raises `DataError`, a short reason, if the clip cannot be used."""

    name: str
    open: Callable[[], AnnotatedClip]


@dataclass(frozen=True, slots=True, eq=False)
class ClipDataset:
    """The usable clips of a data set, and the faults of what was skipped."""

    name: str
    clips: Sequence[ClipRecord]
    faults: Faults = field(default_factory=Faults)

    def __len__(self) -> int:
        return len(self.clips)


def mask_pixels(mask: ObjectMask, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of an object on a frame of `size` (width, height); empty if the object is not visible."""
    if mask is None:
        return np.zeros((size[1], size[0]), bool)
    if isinstance(mask, np.ndarray):
        return mask
    decoded: Any = coco.decode(mask)
    return decoded.view(bool)
