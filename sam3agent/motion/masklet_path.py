"""Where one object of a clip is on every frame, from its masklet: seen, cut off by the border, hidden, or gone."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Masklet
from sam3agent.motion.camera_path import CameraPath

Presence = Literal["in", "part", "hidden", "out"]
BORDER = 2
"""Pixels between a mask and the border of the image within which the border cuts it off."""
WHOLE = 0.7
"""Fraction of its usual area above which an object is in full view."""
LONG = 0.93
"""Part of the length of an object above which a box shows both of its ends."""
SLIVER = 0.12
"""Fraction of its usual area below which it is hidden, if the border does not cut it off."""
NEAR_TIME = 0.5
"""Seconds around a frame from which the usual area is taken."""


@dataclass(frozen=True, eq=False)
class MaskletPath:
    """One object over the T frames of a clip.

    boxes (T, 4): tight boxes xyxy, NaN where it is not seen. centres (T, 2): centres of the masks, NaN there, too.
    areas (T,): pixels, 0 there. size: (W, H) of the frames. rate: frames per second. camera: how the view moves.
    """

    id: int
    boxes: NDArray[np.float64]
    centres: NDArray[np.float64]
    areas: NDArray[np.float64]
    size: tuple[int, int]
    rate: float
    camera: CameraPath

    @classmethod
    def of(
        cls, number: int, masklet: Masklet, count: int, size: tuple[int, int], rate: float, camera: CameraPath
    ) -> "MaskletPath":
        """The path of a masklet in a clip of `count` frames."""
        boxes, centres, areas = np.full((count, 4), np.nan), np.full((count, 2), np.nan), np.zeros(count)
        for t, mask in masklet:
            rows, columns = np.nonzero(mask.crop)
            boxes[t], areas[t] = mask.box, len(rows)
            centres[t] = columns.mean() + mask.x + 0.5, rows.mean() + mask.y + 0.5
        return cls(number, boxes, centres, areas, size, rate, camera)

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.areas)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Frames (T,) with a mask."""
        return self.areas > 0

    @cached_property
    def cut(self) -> NDArray[np.bool_]:
        """Frames (T,) on which the border of the image cuts the mask off."""
        with np.errstate(invalid="ignore"):
            low = (self.boxes[:, :2] <= BORDER).any(1)
            high = (self.boxes[:, 2:] >= np.array(self.size) - BORDER).any(1)
        return (low | high) & self.seen

    @cached_property
    def usual(self) -> NDArray[np.float64]:
        """The area (T,) that the object would have in full view: the largest one near in time, or half the median."""
        reach = max(1, round(NEAR_TIME * self.rate))
        padded = np.pad(self.areas, reach)
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
        least = 0.6 * float(np.percentile(self.areas[self.seen], 80))
        return np.maximum(near, least)

    @cached_property
    def shown(self) -> NDArray[np.float64]:
        """Fraction (T,) of the usual area that is seen."""
        return self.areas / self.usual

    @cached_property
    def presence(self) -> list[Presence]:
        """A word for every frame."""
        found: list[Presence] = []
        for t in range(self.count):
            if not self.seen[t]:
                found.append("out" if self._gone(t) else "hidden")
            elif self.shown[t] >= WHOLE or not self.cut[t]:
                found.append("in" if self.shown[t] >= SLIVER else "hidden")
            else:
                found.append("part")
        return found

    def _gone(self, t: int) -> bool:
        """Whether it is beyond the border on a frame on which it is not seen, and not behind something."""
        frames = np.flatnonzero(self.seen)
        before, after = frames[frames < t], frames[frames > t]
        leaves = len(before) > 0 and self._at_border(int(before[-1]), -1)
        comes = len(after) > 0 and self._at_border(int(after[0]), 1)
        if len(before) and len(after):
            return leaves or comes
        return leaves if len(before) else comes

    def _at_border(self, t: int, way: int) -> bool:
        """Whether it is cut off on a frame, or so fast that the border is within one step. way: 1 looks ahead."""
        if self.cut[t]:
            return True
        other = t + way
        if not (0 <= other < self.count and self.seen[other]):
            return False
        step = np.nan_to_num(self.boxes[t] - self.boxes[other])
        next_box = self.boxes[t] + 1.2 * step
        return bool((next_box[:2] <= BORDER).any() or (next_box[2:] >= np.array(self.size) - BORDER).any())

    @cached_property
    def steady(self) -> NDArray[np.bool_]:
        """Frames (T,) on which its place is known: in full view."""
        return self.seen & (self.shown >= WHOLE) & ~self.cut

    @cached_property
    def ground(self) -> NDArray[np.float64]:
        """Its centre (T, 2) in pixels of the first frame, without the motion of the camera; NaN where it is unknown.

        Between frames of full view it is interpolated, but not where the object is out of the picture between them.
        """
        known = self.steady if self.steady.sum() >= 2 else self.seen
        places = self.camera.on_ground(self.centres)
        out = np.full((self.count, 2), np.nan)
        frames = np.flatnonzero(known)
        if len(frames):
            within = np.arange(frames[0], frames[-1] + 1)
            for axis in (0, 1):
                out[within, axis] = np.interp(within, frames, places[frames, axis])
        for one, two in pairwise(frames.tolist()):
            if "out" in self.presence[one + 1 : two]:
                out[one + 1 : two] = np.nan
        return out

    @cached_property
    def way(self) -> NDArray[np.float64]:
        """Its place (T, 2) as `ground` has it, and also where it is seen in part: by the edges that must be its own.

        A side of the box is its own if the box is as long as that of the whole object, or if the border cuts off only
        the other side. NaN where that tells nothing.
        """
        known = self.steady if self.steady.sum() >= 2 else self.seen
        frames = np.flatnonzero(known)
        whole = frames[np.abs(np.arange(self.count)[:, None] - frames).argmin(1)]  # the nearest frame of full view
        low, high = self.boxes[:, :2] - BORDER, np.array(self.size) - BORDER - self.boxes[:, 2:]
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        with np.errstate(invalid="ignore"):
            long, before, after = sides >= LONG * sides[whole], low <= 0, high <= 0
        from_low = self.boxes[:, :2] + (self.centres - self.boxes[:, :2])[whole]
        from_high = self.boxes[:, 2:] + (self.centres - self.boxes[:, 2:])[whole]
        by_edges = np.where(before & ~after, from_high, np.where((after & ~before) | long, from_low, np.nan))
        places = self.camera.on_ground(np.where(known[:, None], self.centres, by_edges))
        return np.where(np.isnan(self.ground), places, self.ground)

    @cached_property
    def stretches(self) -> list[tuple[int, int]]:
        """First and last frame of every stretch on which its place is known."""
        edges = np.flatnonzero(np.diff(np.pad((~np.isnan(self.ground[:, 0])).astype(int), 1)))
        return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]

    @cached_property
    def speed(self) -> NDArray[np.float64]:
        """Widths of the image per second (T,) over the ground, smoothed over a quarter of a second; NaN if unknown."""
        out = np.full(self.count, np.nan)
        for start, end in self.stretches:
            if end > start:
                line = smoothed(self.ground[start : end + 1], max(1, round(0.12 * self.rate)))
                out[start : end + 1] = _lengths(np.diff(line, axis=0)) * self.rate / self.size[0]
        return out

    @property
    def first(self) -> int:
        """The first frame on which it is seen."""
        return int(np.argmax(self.seen))

    @property
    def last(self) -> int:
        """The last frame on which it is seen."""
        return self.count - 1 - int(np.argmax(self.seen[::-1]))

    def frame_at(self, number: int) -> int:
        """A frame of the clip; a negative number counts from its end."""
        return number + self.count if number < 0 else number

    def in_view(self, t: int) -> bool:
        """Whether most of what usually is seen of it can be seen on a frame; not after the end of the clip."""
        if not 0 <= t < self.count:
            return False
        return self.presence[t] == "in" or (self.presence[t] == "part" and bool(self.shown[t] > 0.4))

    def middle(self, t: int) -> tuple[float, float]:
        """Centre (x, y) of its box on a frame, in pixels."""
        x0, y0, x1, y1 = map(float, self.boxes[t])
        return (x0 + x1) / 2, (y0 + y1) / 2


def _lengths(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The length (T,) of the step around each point, from the steps (T - 1, 2) between them."""
    lengths = np.linalg.norm(steps, axis=1)
    middle = np.linalg.norm((steps[1:] + steps[:-1]) / 2, axis=1)
    return np.concatenate([lengths[:1], middle, lengths[-1:]])


def smoothed(path: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """A path (T, 2), each point averaged with `reach` neighbours on both sides; the ends go on straight."""
    if len(path) < 3 or reach < 1:
        return path
    reach = min(reach, len(path) - 1)
    head = 2 * path[0] - path[reach:0:-1]
    tail = 2 * path[-1] - path[-2 : -reach - 2 : -1]
    padded = np.concatenate([head, path, tail])
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], 1)
