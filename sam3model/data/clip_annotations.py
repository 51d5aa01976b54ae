"""Annotated clips in memory or on disk, whatever format they came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.data.faults import Faults
from sam3model.data.segmentations import Rle, coco

ObjectMask = NDArray[np.bool_] | Rle
"""A mask (H, W), or its compressed RLE."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameMasks:
    """What is annotated on one frame.

    masks: by name of the object. unknown: objects that are not annotated here. All others are known to be hidden or out
    of the image.
    """

    masks: Mapping[str, ObjectMask]
    unknown: frozenset[str] = frozenset()


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

    size: width and height of frames and masks. annotated: numbers of the frames with annotations, in order. masks:
    reads those of one of these frames; raises `DataError`, a short reason, if they cannot be used. phrases: class or
    phrase by name of the object, where known.
    """

    name: str
    size: tuple[int, int]
    frames: ClipFrames
    annotated: tuple[int, ...]
    masks: Callable[[int], FrameMasks]
    phrases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class TrackMasks:
    """The masks of a clip in memory: by object, then by frame; None where nothing is known about the object.

    An object is hidden on frames that it has no entry for.
    """

    tracks: Mapping[str, Mapping[int, Rle | None]]

    def __call__(self, t: int) -> FrameMasks:
        """The masks on frame `t`."""
        found = {name: track[t] for name, track in self.tracks.items() if t in track}
        masks = {name: mask for name, mask in found.items() if mask is not None}
        return FrameMasks(masks, frozenset(found.keys() - masks.keys()))


@dataclass(frozen=True, slots=True, eq=False)
class ClipRecord:
    """A clip that has not been opened yet. open: raises `DataError`, a short reason, if the clip cannot be used."""

    name: str
    open: Callable[[], AnnotatedClip]

    @classmethod
    def of(cls, clip: AnnotatedClip) -> "ClipRecord":
        """A clip that is in memory, with frames in image files."""
        return cls(clip.name, partial(_same, clip))


@dataclass(frozen=True, slots=True, eq=False)
class ClipDataset:
    """The usable clips of a data set, and the faults of what was skipped."""

    name: str
    clips: Sequence[ClipRecord]
    faults: Faults = field(default_factory=Faults)

    def __len__(self) -> int:
        return len(self.clips)


def mask_pixels(mask: ObjectMask | None, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of an object on a frame of `size` (width, height); empty for None."""
    if mask is None:
        return np.zeros((size[1], size[0]), bool)
    if isinstance(mask, np.ndarray):
        return mask
    decoded: Any = coco.decode(mask)
    return decoded.view(bool)


def _same(clip: AnnotatedClip) -> AnnotatedClip:
    return clip
