"""Masks in image pixels, stored inside their tight boxes, and masklets: one object's mask on every frame it is on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are exclusive."""


@dataclass(frozen=True, eq=False)
class Mask:
    """A non-empty mask stored inside its tight box, so that a hundred of them on a large image stay small.

    crop: (h, w) bool. x, y: its top-left corner. width, height: size of the whole image.
    """

    crop: np.ndarray
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def from_full(cls, mask: np.ndarray) -> "Mask | None":
        """From an (H, W) mask; None if it is empty."""
        mask = np.asarray(mask, dtype=bool)
        rows = np.flatnonzero(mask.any(1))
        if not rows.size:
            return None
        band = mask[rows[0] : rows[-1] + 1]
        columns = np.flatnonzero(band.any(0))
        # Booleans made by Pillow hold 255 for true; compare bytes so that ours hold 1, which `view(uint8)` relies on.
        crop = np.ascontiguousarray(band[:, columns[0] : columns[-1] + 1]).view(np.uint8) > 0
        return cls(crop, int(columns[0]), int(rows[0]), mask.shape[1], mask.shape[0])

    @property
    def box(self) -> Box:
        """Tight box."""
        return self.x, self.y, self.x + self.crop.shape[1], self.y + self.crop.shape[0]

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.crop.sum())

    def intersection(self, other: "Mask") -> int:
        """Number of pixels in both masks."""
        x0, y0 = max(self.x, other.x), max(self.y, other.y)
        x1, y1 = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if x0 >= x1 or y0 >= y1:
            return 0
        mine = self.crop[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
        theirs = other.crop[y0 - other.y : y1 - other.y, x0 - other.x : x1 - other.x]
        return int((mine & theirs).sum())

    def full(self) -> np.ndarray:
        """The mask at image size, (H, W) bool."""
        mask = np.zeros((self.height, self.width), dtype=bool)
        x0, y0, x1, y1 = self.box
        mask[y0:y1, x0:x1] = self.crop
        return mask

    def to_rle(self) -> dict[str, Any]:
        """COCO compressed RLE with `counts` as text: `{"size": [H, W], "counts": "…"}`."""
        from sam3model.ops.masks import encode_rle

        return encode_rle(self.full())

    @classmethod
    def from_rle(cls, rle: Mapping[str, Any]) -> "Mask | None":
        """The inverse of `to_rle`; None if the mask is empty. Raises `InputError` if the RLE is damaged."""
        from sam3model.ops.masks import decode_rle

        return cls.from_full(decode_rle(rle))


class RleMasks(Mapping[int, Mask]):
    """Non-empty masks of one size by frame, stored as COCO RLE; each is decoded whenever it is looked at.

    A thousand masks take about as much memory as one that is decoded. areas: number of pixels by frame.
    """

    def __init__(self, rles: Mapping[int, Mapping[str, Any]]) -> None:
        """Empty masks are left out. Raises `InputError` if an RLE is damaged."""
        from sam3model.ops.masks import check_rle, coco

        checked = {frame: check_rle(rle) for frame, rle in rles.items()}
        areas = {frame: int(coco.area(rle)) for frame, rle in checked.items()}
        self.areas = {frame: area for frame, area in areas.items() if area}
        self._rles = {frame: checked[frame] for frame in self.areas}

    def __getitem__(self, frame: int) -> Mask:
        mask = Mask.from_rle(self._rles[frame])
        if mask is None:
            raise KeyError(frame)
        return mask

    def __iter__(self) -> Iterator[int]:
        return iter(self._rles)

    def __len__(self) -> int:
        return len(self._rles)

    def rle(self, frame: int) -> dict[str, Any]:
        """The stored RLE of a frame."""
        return self._rles[frame]

    @property
    def nbytes(self) -> int:
        """Size of the RLE in bytes."""
        return sum(len(rle["counts"]) for rle in self._rles.values())

    def intersection(self, other: "RleMasks") -> int:
        """Number of pixels, over all frames, that are in both."""
        from sam3model.ops.masks import coco

        pairs = ([rle, other.rle(frame)] for frame, rle in self._rles.items() if frame in other.areas)
        return sum(int(coco.area(coco.merge(pair, intersect=True))) for pair in pairs)


@dataclass(frozen=True, eq=False)
class Masklet:
    """One object through a medium: its mask on every frame where it is visible, at least one. An image has frame 0."""

    masks: Mapping[int, Mask]

    @classmethod
    def of(cls, mask: Mask, frame: int = 0) -> Self:
        """A masklet of one frame."""
        return cls({frame: mask})

    @classmethod
    def from_rles(cls, rles: Mapping[int, Mapping[str, Any]]) -> "Masklet | None":
        """From RLE by frame, kept as such; None if every mask is empty."""
        masks = RleMasks(rles)
        return cls(masks) if masks else None

    @cached_property
    def areas(self) -> Mapping[int, int]:
        """Number of pixels by frame."""
        if isinstance(self.masks, RleMasks):
            return self.masks.areas
        return {frame: mask.area for frame, mask in self.masks.items()}

    @cached_property
    def key_frame(self) -> int:
        """The frame to show first: the one with the largest mask."""
        return max(self.areas, key=lambda frame: self.areas[frame])

    @cached_property
    def mask(self) -> Mask:
        """The mask on the key frame."""
        return self.masks[self.key_frame]

    def packed(self) -> "Masklet":
        """The same masks stored as RLE: a small part of the memory, decoded whenever they are looked at."""
        if isinstance(self.masks, RleMasks):
            return Masklet(self.masks)  # without what was decoded
        return Masklet(RleMasks({frame: mask.to_rle() for frame, mask in self.masks.items()}))

    @property
    def nbytes(self) -> int:
        """Size of the masks in memory in bytes, as they are stored."""
        if isinstance(self.masks, RleMasks):
            return self.masks.nbytes
        return sum(mask.crop.nbytes for mask in self.masks.values())

    def __iter__(self) -> Iterator[tuple[int, Mask]]:
        return iter(sorted(self.masks.items()))

    @cached_property
    def area(self) -> int:
        """Number of pixels over all frames."""
        return sum(self.areas.values())

    def intersection(self, other: "Masklet") -> int:
        """Number of pixels, over all frames, that are in both."""
        if isinstance(self.masks, RleMasks) and isinstance(other.masks, RleMasks):
            return self.masks.intersection(other.masks)
        common = [frame for frame in self.masks if frame in other.masks]
        return sum(self.masks[frame].intersection(other.masks[frame]) for frame in common)

    def iou(self, other: "Masklet") -> float:
        """Space-time IoU: intersections of all frames over unions of all frames."""
        shared = self.intersection(other)
        return shared / (self.area + other.area - shared)

    def likeness(self, other: "Masklet") -> float:
        """IoU over space and time; on its only frame if one of them is known on no other, as before it was followed."""
        short, long = sorted((self, other), key=lambda masklet: len(masklet.areas))
        if len(short.areas) == 1 < len(long.areas):
            (frame,) = short.areas
            part = long.between(frame, frame + 1)
            return short.iou(part) if part else 0.0
        return self.iou(other)

    def joined(self, other: "Masklet") -> "Masklet":
        """One masklet with the masks of both; where both have one, with the pixels of either."""
        from sam3model.ops.masks import union_rles

        frames = sorted({*self.areas, *other.areas})
        rles = {t: [rle for masklet in (self, other) if (rle := masklet.rle(t))] for t in frames}
        return Masklet(RleMasks({t: union_rles(found) for t, found in rles.items()}))

    def between(self, first: int, end: int) -> "Masklet | None":
        """The masks of frames from `first` on and before `end`; None if there are none."""
        return Masklet.from_rles({t: rle for t in self.areas if first <= t < end and (rle := self.rle(t))})

    def to_json(self) -> dict[str, dict[str, Any]]:
        """RLE by frame number; JSON keys are text."""
        return {str(frame): rle for frame in sorted(self.masks) if (rle := self.rle(frame))}

    def rle(self, frame: int) -> dict[str, Any] | None:
        """The mask of a frame as RLE; None where it has none. Masks that are stored as RLE are not decoded."""
        if frame not in self.areas:
            return None
        return self.masks.rle(frame) if isinstance(self.masks, RleMasks) else self.masks[frame].to_rle()

    @classmethod
    def from_json(cls, frames: Mapping[str, Mapping[str, Any]]) -> "Masklet | None":
        """The inverse of `to_json`; None if every mask is empty. Raises `InputError` if an RLE is damaged."""
        read = {int(frame): Mask.from_rle(rle) for frame, rle in frames.items()}
        masks = {frame: mask for frame, mask in read.items() if mask is not None}
        return cls(masks) if masks else None


def on_frame(frame: int | None) -> str:
    """Where a box is in a clip, in words behind it; empty for an image."""
    return "" if frame is None else f" on frame {frame}"


def best_frame(masklets: Sequence[Masklet]) -> int:
    """The frame that shows most of the masklets, and of those the one with the largest masks; 0 without masklets."""
    areas: dict[int, list[int]] = {}
    for masklet in masklets:
        for frame, area in masklet.areas.items():
            areas.setdefault(frame, []).append(area)
    return max(sorted(areas), key=lambda frame: (len(areas[frame]), sum(areas[frame])), default=0)
