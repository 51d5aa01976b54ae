"""What two objects do with each other: pass, overtake, touch, come near. Lengths are widths of the image."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import FrameSpan, FrameSpans, runs

AHEAD = 0.03
"""Widths between two objects of which one is ahead."""
TOUCH = 0.02
"""Widths between two boxes that may touch."""
LOWER = 0.05
"""Widths by which a ball may be lower in the image than the feet of who touches it."""
MOVER = 0.6
"""How far something that passes another thing moves at least, as a part of how far that moves."""
KICK = 0.12
"""Change of a speed, in widths per second, that a touch makes at least."""
TURNED = 0.3
"""The same as a part of the speed: what rolls or flies by itself slows down little by little."""


def gaps(one: MaskletPath, two: MaskletPath) -> NDArray[np.float64]:
    """Pixels between the boxes (T,), 0 where they overlap, NaN where one of them is not seen."""
    low = np.maximum(one.boxes[:, :2], two.boxes[:, :2])
    high = np.minimum(one.boxes[:, 2:], two.boxes[:, 2:])
    return np.hypot(*np.maximum(low - high, 0).T)


def nearest_gap(one: MaskletPath, two: MaskletPath) -> tuple[float, float, int]:
    """Smallest gap, distance of the centres there, both in pixels, and the frame; infinite if never seen together."""
    between = gaps(one, two)
    if np.isnan(between).all():
        return np.inf, np.inf, 0
    apart = np.hypot(*(one.boxes[:, :2] + one.boxes[:, 2:] - two.boxes[:, :2] - two.boxes[:, 2:]).T) / 2
    t = int(np.nanargmin(between + 1e-3 * apart))
    return float(between[t]), float(np.nanmin(apart)), t


def nearest_of(path: MaskletPath, others: Sequence[MaskletPath]) -> tuple[float, float, int] | None:
    """The nearest gap to any of several others; None if it is never seen together with one."""
    near = min((nearest_gap(path, other) for other in others), default=(np.inf, np.inf, 0))
    return near if np.isfinite(near[0]) else None


def passes_behind(one: MaskletPath, two: MaskletPath) -> FrameSpans:
    """When the first goes past the second from one side to the other, behind it."""
    return tuple(moment for moment, front in _swaps(one, two) if not front)


def passes_in_front(one: MaskletPath, two: MaskletPath) -> FrameSpans:
    """When the first goes past the second from one side to the other, in front of it."""
    return tuple(moment for moment, front in _swaps(one, two) if front)


def _swaps(one: MaskletPath, two: MaskletPath) -> list[tuple[FrameSpan, bool]]:
    """Changes of side with overlapping boxes, and whether the first is in front."""
    half = (two.boxes[:, 2] - two.boxes[:, 0]) / 2
    aside = one.centres[:, 0] - two.centres[:, 0]
    clear = np.where(np.isnan(aside) | (np.abs(aside) < half), 0, np.sign(aside))
    found = []
    if _moved_aside(one) < MOVER * _moved_aside(two):
        return found
    for a, b in pairwise(np.flatnonzero(clear)):
        if clear[a] == clear[b]:
            continue
        part = slice(int(a), int(b) + 1)
        heights = np.minimum(one.boxes[part, 3], two.boxes[part, 3]) - np.maximum(
            one.boxes[part, 1], two.boxes[part, 1]
        )
        if not np.isnan(heights).all() and np.nanmax(heights) <= 0:
            continue  # one is above the other
        found.append((FrameSpan(int(a), int(b)), _in_front(one, two, part)))
    return found


def _moved_aside(path: MaskletPath) -> float:
    """Pixels that something moves to the left or right over the ground, where its place is known."""
    places = path.ground[~np.isnan(path.ground[:, 0]), 0]
    return float(np.ptp(places)) if len(places) else 0.0


def _in_front(one: MaskletPath, two: MaskletPath, part: slice) -> bool:
    """Which of two loses less of its area while they overlap; if neither does, whose foot is lower in the image."""
    lost = [float(1 - p.shown[part].min()) for p in (one, two)]
    if abs(lost[0] - lost[1]) > 0.08:
        return lost[0] < lost[1]
    feet = [np.nanmedian(p.boxes[part if p.seen[part].any() else slice(None), 3]) for p in (one, two)]
    return bool(feet[0] > feet[1])


def overtakes(one: MaskletPath, two: MaskletPath) -> FrameSpans:
    """When the first comes from behind the second, which moves the same way, and gets ahead of it."""
    both = np.flatnonzero(one.seen & two.seen)
    if len(both) < 3:
        return ()
    first, last = int(both[0]), int(both[-1])
    ahead = (one.centres[[first, last], 0] - two.centres[[first, last], 0]) / one.size[0]
    for sign in (1, -1):
        ways = [_net(p, first, last) * sign for p in (one, two)]
        if min(ways) > AHEAD and ahead[0] * sign < -AHEAD and ahead[1] * sign > AHEAD:
            return (FrameSpan(first, last),)
    return ()


def _net(path: MaskletPath, first: int, last: int) -> float:
    places = path.camera.on_ground(path.centres)
    return float(places[last, 0] - places[first, 0]) / path.size[0]


def touches(one: MaskletPath, ball: MaskletPath) -> FrameSpans:
    """When the second changes its way right beside the first, as a ball does when it is played.

    A ball that lies lower in the image than the feet of the first is nearer to the camera, and not touched by it. It
    may be higher: in the air, at its head or hand. While somebody in front covers a part of it, its way is unknown.
    """
    width, last = one.size[0], one.count - 1
    velocity = np.diff(ball.ground, axis=0) * ball.rate / width
    change = np.full(one.count + 2, 0.0)
    change[2:-2] = np.nan_to_num(np.hypot(*np.diff(velocity, axis=0).T))
    speed = np.pad(np.nan_to_num(np.hypot(*velocity.T)), 1)
    least = np.maximum(KICK, TURNED * np.maximum(speed[:-1], speed[1:]))
    kicked = (change[1:-1] >= least) & (change[1:-1] >= np.maximum(change[:-2], change[2:]))
    close = np.nan_to_num(gaps(one, ball), nan=np.inf) <= TOUCH * width
    level = np.nan_to_num(ball.boxes[:, 3] - one.boxes[:, 3], nan=np.inf) <= LOWER * width
    return tuple(
        FrameSpan(max(0, start - 1), min(last, end + 1)) for state, start, end in runs(kicked & close & level) if state
    )
