"""What objects of a clip do over time: each fact is a list of moments, empty if it never happens, None if unclear.

Lengths are fractions of the width of the image and times are seconds; whatever lies between the threshold of "yes"
and that of "no" is unclear, so that questions have one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sam3model.playground.clip_trails import ClipTrails, Trail

IN, OUT = 0.75, 0.002
"""Fractions of a silhouette within the image at which it is in the picture, and out of it."""
MOVING, STILL = 0.022, 0.006
"""Widths of the image per second above which something moves, and below which it stands still."""
LONG, SHORT = 0.35, 0.15
"""Seconds that a pause or a walk lasts at least to count, and at most to be overlooked."""
FAR, NEAR = 0.1, 0.025
"""Widths of the image that something moves at least to count, and at most to be overlooked."""
COVERED, OPEN = 0.1, 0.55
"""Visible fractions below which something is hidden, and above which it is in plain view."""
GROWN, SAME = 1.4, 1.12
"""Ratios of sizes above which something grows, and below which it keeps its size."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Frames `start` to `end`, inclusive, in which something happens."""

    start: int
    end: int


Moments = tuple[Moment, ...]
Runs = list[tuple[int, int, int]]
"""State (1: yes, -1: no, 0: between), first and last frame of every stretch."""


class TimeFacts:
    """Facts about the objects of a clip. Every method takes a trail and returns moments, or None if unclear."""

    def __init__(self, clip: ClipTrails) -> None:
        self.clip = clip
        self.width = clip.size[0]

    def frames(self, seconds: float) -> int:
        """Number of frames of a time, at least 2."""
        return max(2, round(seconds * self.clip.rate))

    def presence(self, trail: Trail) -> Runs:
        """In the picture (1), out of it (-1), or partly (0)."""
        return runs(np.where(trail.inside >= IN, 1, np.where(trail.inside <= OUT, -1, 0)))

    def entries(self, trail: Trail) -> Moments | None:
        """When it comes into the picture; each moment is from the first sight to full view."""
        return self._crossings(trail, from_state=-1)

    def exits(self, trail: Trail) -> Moments | None:
        """When it leaves the picture; each moment is from the first cut to the last sight."""
        return self._crossings(trail, from_state=1)

    def _crossings(self, trail: Trail, from_state: int) -> Moments | None:
        stretches = self.presence(trail)
        clear = [run for run in stretches if run[0]]
        if not clear or (len(clear) > 1 and not self.moves(trail)):
            return None  # a camera that pans over something is no entry
        if stretches[0][0] == 0 or (stretches[-1][0] == 0 and (clear[-1][0] < 0 or trail.inside[-1] < IN - 0.2)):
            return None
        found = []
        for one, two in pairwise(clear):
            between = trail.inside[one[2] + 1 : two[1]]
            if one[0] == two[0]:
                if len(between) and (between.min() < IN - 0.3 if one[0] > 0 else True):
                    return None
            elif min(one[2] - one[1], two[2] - two[1]) < 1:
                return None
            elif one[0] == from_state:
                found.append(Moment(one[2] + 1, two[1]))
        return None if any(self._covered(trail, moment) for moment in found) else tuple(found)

    def _covered(self, trail: Trail, moment: Moment) -> bool:
        part = slice(moment.start, moment.end + 1)
        return bool((trail.exposed[part][trail.inside[part] > 0.2] < OPEN).any())

    def returns(self, trail: Trail) -> Moments | None:
        """When it comes back after it left."""
        left, came = self.exits(trail), self.entries(trail)
        if left is None or came is None:
            return None
        return tuple(moment for moment in came if any(exit_.end < moment.start for exit_ in left))

    def motion(self, trail: Trail) -> Runs:
        """Moving (1), standing still (-1) or between (0), while it is in view."""
        seen = trail.inside > 0.3
        speed = trail.speed(self.clip.rate) / self.width
        states = np.where(speed >= MOVING, 1, np.where(speed <= STILL, -1, 0))
        return [run for run in runs(np.where(seen, states, 2)) if run[0] != 2]

    def stops(self, trail: Trail) -> Moments | None:
        """When it stands still after it moved."""
        return self._changes(trail, before=1)

    def starts(self, trail: Trail) -> Moments | None:
        """When it moves after it stood still."""
        return self._changes(trail, before=-1)

    def _changes(self, trail: Trail, before: int) -> Moments | None:
        stretches = self._settled(self.motion(trail))
        if not stretches or any(state == 0 or end - start + 1 < self.frames(LONG) for state, start, end in stretches):
            return None  # a short pause or a slow stretch
        found = []
        for one, two in pairwise(stretches):
            if one[0] == before and two[0] == -before:
                if two[1] - one[2] > self.frames(SHORT) + 2:
                    return None  # it was out of view
                found.append(Moment(one[2] + 1, min(two[1] + 2, two[2])))
        return None if any(self._covered(trail, moment) for moment in found) else tuple(found)

    def _settled(self, stretches: Runs) -> Runs:
        """Stretches without the very short ones in the middle; neighbours of one state are one."""
        short, ends = self.frames(SHORT), (stretches[0], stretches[-1]) if stretches else ()
        kept: Runs = []
        for run in stretches:
            state, start, end = run
            if end - start + 1 <= short and (state == 0 or run not in ends):
                continue
            if kept and kept[-1][0] == state and start - kept[-1][2] <= short + 1:
                kept[-1] = (state, kept[-1][1], end)
            else:
                kept.append(run)
        return kept

    def stays(self, trail: Trail) -> Moments | None:
        """The whole clip if it never moves."""
        reach = self._reach(trail)
        if reach >= FAR / 2 * self.width:
            return ()
        if reach > 0.006 * self.width or trail.wobble > 8 or self.clip.camera_moves:
            return None
        return (self.whole(),)

    def moves(self, trail: Trail) -> bool:
        """Whether it clearly moves over the ground or through the air while it is in view."""
        return self._reach(trail) >= FAR / 2 * self.width

    def _reach(self, trail: Trail) -> float:
        seen = trail.inside > 0.1
        return float(np.ptp(trail.place[seen], axis=0).max() + np.ptp(trail.lift[seen])) if seen.any() else 0.0

    def turns(self, trail: Trail) -> Moments | None:
        """When it turns around and moves back, to the left or right."""
        if trail.wobble > 30:
            return None  # it rotates, too
        seen = np.flatnonzero(trail.inside > 0.5)
        if len(seen) < 3:
            return None
        big, small = (corners_of(trail.place[seen, 0], leg * self.width) for leg in (FAR, NEAR))
        around = [seen[max(0, k - 2) : k + 3] for k in small]
        if len(big) != len(small) or any(np.ptp(frames) > 4 for frames in around):
            return None  # it turns back a little, or out of view
        moments = tuple(Moment(int(frames[0]), int(frames[-1])) for frames in around)
        return None if any(self._covered(trail, moment) for moment in moments) else moments

    def goes(self, trail: Trail, sign: int) -> Moments | None:
        """The whole time in view if it moves to the right (1) or left (-1), without turning around."""
        seen = np.flatnonzero((trail.inside > 0.5) & (trail.exposed > OPEN))
        if len(seen) < 3:
            return None
        first, last = int(seen[0]), int(seen[-1])
        steps = [float(x[last] - x[first]) * sign / self.width for x in (trail.place[:, 0], trail.centres[:, 0])]
        if max(steps) < NEAR and self.turns(trail) == ():
            return ()
        clear = min(steps) >= FAR and self.turns(trail) == ()
        return (Moment(first, last),) if clear else None

    def hidden(self, trail: Trail) -> Moments | None:
        """When something else covers it, between times in plain view."""
        inside = trail.inside > 0.9
        found = []
        stretches = [
            run
            for run in runs(np.where(inside, np.where(trail.peak < COVERED, 1, np.where(trail.open > OPEN, -1, 0)), 2))
            if run[0] != 2
        ]
        for k, (state, start, end) in enumerate(stretches):
            near = [stretches[j][0] for j in (k - 1, k + 1) if 0 <= j < len(stretches)]
            if state == 1:
                before = any(run[0] == -1 for run in stretches[:k])
                after = any(run[0] == -1 for run in stretches[k + 1 :])
                if end - start < 2 or not (before and after):
                    return None
                found.append(Moment(start, end))
            elif state == 0 and 1 not in near:
                return None  # half covered, and never quite
        return tuple(found) if stretches else None

    def grows(self, trail: Trail, sign: int) -> Moments | None:
        """The time in full view if it becomes larger (1) or smaller (-1) in the image."""
        whole = np.flatnonzero(trail.inside > 0.97)
        if len(whole) < 3:
            return None
        first, last = int(whole[0]), int(whole[-1])
        size = np.sqrt(trail.areas[whole])
        ratio = float(size[-1] / size[0]) ** sign
        steady = np.ptp(size) <= 1.08 * abs(size[-1] - size[0])
        if ratio >= GROWN and steady:
            return (Moment(first, last),)
        return () if max(size.max() / size.min(), 1.0) < SAME else None

    def always(self, trail: Trail) -> Moments | None:
        """The whole clip if it never leaves the picture."""
        if trail.inside.min() > IN and trail.open.min() > OPEN / 2:
            return (self.whole(),)
        return () if trail.inside.min() <= OUT else None

    def whole(self) -> Moment:
        """All frames."""
        return Moment(0, self.clip.count - 1)


def runs(states: np.ndarray) -> Runs:
    """Stretches of equal values.

    >>> runs(np.array([1, 1, 0, -1]))
    [(1, 0, 1), (0, 2, 2), (-1, 3, 3)]
    """
    cuts = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
    return [(int(states[a]), a, b - 1) for a, b in pairwise(cuts)]


def corners_of(path: Sequence[float] | np.ndarray, leg: float) -> list[int]:
    """Indices where a path turns back, with at least `leg` on both sides.

    >>> corners_of([0, 1, 2, 3, 2, 1, 0], 2), corners_of([0, 1, 2, 3, 2, 1, 0], 4)
    ([3], [])
    """
    corners, low, high, trend = [], 0, 0, 0
    for k, value in enumerate(path):
        low, high = (k if value < path[low] else low), (k if value > path[high] else high)
        if trend >= 0 and path[high] - value >= leg and (trend > 0 or high):
            corners += [high] if trend > 0 else []
            trend, low = -1, k
        elif trend <= 0 and value - path[low] >= leg:
            corners += [low] if trend < 0 else []
            trend, high = 1, k
        elif trend == 0 and path[high] - value >= leg:
            trend, low = -1, k
    return corners
