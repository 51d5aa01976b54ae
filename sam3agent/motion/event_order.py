"""Moments in the order of time, before and after others, and at sides of the image."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from sam3agent.motion.masklet_path import MaskletPath
from sam3agent.motion.motion_facts import FrameSpan, FrameSpans

T = TypeVar("T")


def in_order(doing: Mapping[int, FrameSpans], position: int, count: int = 1) -> dict[int, FrameSpans]:
    """Those at a place in the order of time, by number: from 1 for the first; -1 for the last, by what they do last.

    >>> in_order({4: (FrameSpan(9, 9),), 5: (FrameSpan(2, 3),), 6: ()}, 1)
    {5: (FrameSpan(start=2, end=3),)}
    """
    if position < 0:
        latest = sorted((i for i, spans in doing.items() if spans), key=lambda i: -doing[i][-1].start)
        return {i: doing[i] for i in place_in(latest[::-1], position, count)}
    ranked = sorted((i for i, spans in doing.items() if spans), key=lambda i: doing[i][0].start)
    return {i: doing[i] for i in place_in(ranked, position, count)}


def place_in(order: Sequence[T], position: int, count: int) -> list[T]:
    """As many as `count`, from a position in an order on: 1 is the first, -1 the last, and two of it the last two.

    >>> place_in("abcd", 2, 2), place_in("abcd", -1, 2), place_in("abcd", -3, 2), place_in("abcd", -5, 1)
    (['b', 'c'], ['c', 'd'], ['b', 'c'], [])
    """
    if position > 0:
        return list(order[position - 1 : position - 1 + count])
    if -position > len(order):
        return []
    start = max(0, len(order) - max(-position, count))
    return list(order[start : start + count])


def compared(moments: FrameSpans, word: Literal["before", "after"], events: Sequence[FrameSpan]) -> FrameSpans:
    """The moments before the first of some events, or after it; none without events."""
    first = min((event.start for event in events), default=None)
    if first is None:
        return ()
    return tuple(m for m in moments if (m.start < first if word == "before" else m.start > first))


def on_side(path: MaskletPath, moment: FrameSpan, side: str, *, first: bool) -> bool:
    """Whether something enters or leaves at a side: the half of the image where it is first, or last, seen then."""
    frames = [t for t in range(max(0, moment.start - 1), min(path.count, moment.end + 2)) if path.seen[t]]
    if not frames:
        return False
    x, y = path.middle(frames[0] if first else frames[-1])
    width, height = path.size
    return {"left": x < width / 2, "right": x > width / 2, "top": y < height / 2, "bottom": y > height / 2}[side]
