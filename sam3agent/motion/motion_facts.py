"""What one object does, as moments: when it enters, leaves, stops, turns. Lengths are widths of the image."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sam3agent.motion.masklet_path import MaskletPath, Presence, smoothed

MOVING = 0.013
"""Widths per second above which something moves."""
SHORT = 0.2
"""Seconds; a shorter stop or start is none."""
STEP = 0.06
"""Widths that something must go one way to move there, and go back to turn."""
STAYS = 0.025
"""Widths that something may reach over the whole clip and still never move."""
GROWS = 1.25
"""Ratio of sizes at the end and at the start of full view."""


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """Frames `start` to `end`, inclusive."""

    start: int
    end: int

    def words(self) -> str:
        """ "frame 3" or "frames 3 to 9"."""
        return f"frame {self.start}" if self.start == self.end else f"frames {self.start} to {self.end}"


FrameSpans = tuple[FrameSpan, ...]
Fact = Callable[[MaskletPath], FrameSpans]


def time_seen(path: MaskletPath) -> FrameSpan:
    """From the first to the last frame on which it is seen."""
    return FrameSpan(path.first, path.last)


def runs(values: Iterable[object]) -> list[tuple[object, int, int]]:
    """Stretches of equal values: value, first and last index.

    >>> runs(["in", "in", "out"])
    [('in', 0, 1), ('out', 2, 2)]
    """
    listed = list(values)
    cuts = [0, *(i for i in range(1, len(listed)) if listed[i] != listed[i - 1]), len(listed)]
    return [(listed[a], a, b - 1) for a, b in pairwise(cuts)]


def appears(path: MaskletPath) -> FrameSpans:
    """When it is first seen, if that is after the start."""
    return (FrameSpan(path.first, path.first),) if path.first else ()


def disappears(path: MaskletPath) -> FrameSpans:
    """When it is last seen, if that is before the end."""
    return (FrameSpan(path.last, path.last),) if path.last < path.count - 1 else ()


def enters(path: MaskletPath) -> FrameSpans:
    """When it comes into the picture."""
    return _crossings(path, "out", "in")


def leaves(path: MaskletPath) -> FrameSpans:
    """When it goes out of the picture."""
    return _crossings(path, "in", "out")


def _crossings(path: MaskletPath, before: Presence, after: Presence) -> FrameSpans:
    """Changes between in and out of the picture, over what is in between."""
    clear = [(word, start, end) for word, start, end in runs(path.presence) if word in ("in", "out")]
    found = [
        FrameSpan(one[2] + 1, two[1]) if two[1] > one[2] else FrameSpan(two[1], two[1])
        for one, two in pairwise(clear)
        if one[0] == before and two[0] == after
    ]
    presence = path.presence
    if after == "in" and "in" in presence and presence[0] == "part" and not found:
        first = presence.index("in")
        if path.shown[0] < 0.35 and "out" not in presence[:first]:
            found.insert(0, FrameSpan(0, first))
    if after == "out" and "in" in presence and presence[-1] == "part" and not found and path.shown[-1] < 0.35:
        found.append(FrameSpan(len(presence) - presence[::-1].index("in"), len(presence) - 1))
    return tuple(found)


def returns(path: MaskletPath) -> FrameSpans:
    """When it comes back after it left."""
    left = leaves(path)
    return tuple(moment for moment in enters(path) if any(gone.start < moment.start for gone in left))


def remains(path: MaskletPath) -> FrameSpans:
    """The whole clip if it never leaves the picture."""
    always = "out" not in path.presence and path.seen.any()
    return (FrameSpan(0, path.count - 1),) if always else ()


def hides(path: MaskletPath) -> FrameSpans:
    """When something covers it, between times in view."""
    words = path.presence
    stretches = runs(words)
    found = []
    for k, (word, start, end) in enumerate(stretches):
        around = any(w == "in" for w, _, _ in stretches[:k]) and any(w == "in" for w, _, _ in stretches[k + 1 :])
        if word == "hidden" and around:
            found.append(FrameSpan(start, end))
    return tuple(found)


def _states(path: MaskletPath, first: int, last: int) -> list[tuple[bool, int, int]]:
    """Whether it moves in a stretch of frames, in parts; very short ones belong to their neighbours."""
    shortest = max(2, round(SHORT * path.rate))
    found: list[tuple[bool, int, int]] = []
    for state, start, end in runs(path.speed[first : last + 1] >= MOVING):
        if found and (end - start + 1 < shortest or found[-1][0] == state):
            found[-1] = (found[-1][0], found[-1][1], end)
        else:
            found.append((bool(state), start, end))
    if len(found) > 1 and found[0][2] - found[0][1] + 1 < shortest:
        found[:2] = [(found[1][0], found[0][1], found[1][2])]
    return [(state, start + first, end + first) for state, start, end in found]


def stops(path: MaskletPath) -> FrameSpans:
    """When it stands still after it moved."""
    return _changes(path, before=True)


def starts(path: MaskletPath) -> FrameSpans:
    """When it moves after it stood still."""
    return _changes(path, before=False)


def _changes(path: MaskletPath, *, before: bool) -> FrameSpans:
    return tuple(
        FrameSpan(two[1], min(two[1] + 2, two[2]))
        for first, last in path.stretches
        if last - first >= 2
        for one, two in pairwise(_states(path, first, last))
        if one[0] == before != two[0]
    )


def reach(path: MaskletPath) -> float:
    """Widths between the farthest places where it is, without the motion of the camera."""
    places = path.way[~np.isnan(path.way).any(1)]
    return float(np.ptp(places, axis=0).max()) / path.size[0] if len(places) else 0.0


def stays(path: MaskletPath) -> FrameSpans:
    """The whole clip if it never moves."""
    return (FrameSpan(0, path.count - 1),) if reach(path) < STAYS else ()


def moves(path: MaskletPath) -> FrameSpans:
    """The time in view if it moves at all."""
    return () if stays(path) else (time_seen(path),)


def turns(path: MaskletPath) -> FrameSpans:
    """When it turns around, to the left or right."""
    return _turns(path, 0)


def _turns(path: MaskletPath, axis: int) -> FrameSpans:
    found = []
    for first, last in path.stretches:
        line = smoothed(path.ground[first : last + 1], 1)[:, axis] / path.size[0]
        found += [FrameSpan(first + k, first + k) for k in _corners(line, STEP)]
    return tuple(found)


def _corners(line: NDArray[np.float64], leg: float) -> list[int]:
    """Indices where a line turns back after at least `leg`, and goes back at least as far."""
    found, top, bottom, way = list[int](), 0, 0, 0
    for k, value in enumerate(line):
        top, bottom = (k if value > line[top] else top), (k if value < line[bottom] else bottom)
        if way >= 0 and line[top] - value >= leg:
            if way > 0 or line[top] - line[: top + 1].min() >= leg:
                found.append(top)
            way, bottom = -1, k
        elif way <= 0 and value - line[bottom] >= leg:
            if way < 0 or line[: bottom + 1].max() - line[bottom] >= leg:
                found.append(bottom)
            way, top = 1, k
    return found


def goes_right(path: MaskletPath) -> FrameSpans:
    """The time in view if it moves to the right without turning around."""
    return _goes(path, 0, 1)


def goes_left(path: MaskletPath) -> FrameSpans:
    """The time in view if it moves to the left without turning around."""
    return _goes(path, 0, -1)


def goes_down(path: MaskletPath) -> FrameSpans:
    """The time in view if it moves down in the image without turning around."""
    return _goes(path, 1, 1)


def goes_up(path: MaskletPath) -> FrameSpans:
    """The time in view if it moves up in the image without turning around."""
    return _goes(path, 1, -1)


def _goes(path: MaskletPath, axis: int, sign: int) -> FrameSpans:
    """Whether it moves one way, over the ground as well as in the image. axis: 0 for x, 1 for y."""
    ways = [
        place[~np.isnan(place[:, 0])][:, axis]
        for place in (path.ground, np.where(path.steady[:, None], path.centres, np.nan))
    ]
    if any(len(way) < 2 for way in ways) or _turns(path, axis) or returns(path):
        return ()
    steps = [float(way[-1] - way[0]) * sign / path.size[0] for way in ways]
    return (time_seen(path),) if min(steps) >= STEP else ()


def grows(path: MaskletPath) -> FrameSpans:
    """The time in full view if it becomes larger in the image."""
    return _resizes(path, 1)


def shrinks(path: MaskletPath) -> FrameSpans:
    """The time in full view if it becomes smaller in the image."""
    return _resizes(path, -1)


def _resizes(path: MaskletPath, sign: int) -> FrameSpans:
    frames = np.flatnonzero(path.steady)
    if len(frames) < 3:
        return ()
    sides = np.sqrt(path.areas[frames])
    ends = max(1, len(frames) // 6)
    ratio = float(np.median(sides[-ends:]) / np.median(sides[:ends])) ** sign
    return (FrameSpan(int(frames[0]), int(frames[-1])),) if ratio >= GROWS else ()


def fastness(path: MaskletPath) -> float:
    """Median speed while it is in view, in widths per second."""
    known = path.speed[~np.isnan(path.speed)]
    return float(np.median(known)) if len(known) else 0.0


def travelled(path: MaskletPath) -> float:
    """Widths that it moves over the ground in all, while its place is known."""
    known = runs(~np.isnan(path.way[:, 0]))
    lines = [smoothed(path.way[a : b + 1], max(1, round(0.12 * path.rate))) for there, a, b in known if there]
    return sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines if len(line) > 1) / path.size[0]


def seconds_seen(path: MaskletPath) -> float:
    """Seconds in which it is seen."""
    return float(path.seen.sum()) / path.rate
