"""Sets of frame numbers as ranges, since tracked frames come in long runs."""

from bisect import bisect_right


class FrameRanges:
    """Frames that were tracked, each with the direction in which it was last tracked.

    >>> ranges = FrameRanges()
    >>> for frame in (3, 4, 5): ranges.add(frame, reverse=False)
    >>> ranges.add(4, reverse=True)
    >>> [ranges.direction(frame) for frame in (2, 3, 4, 5)]
    [None, False, True, False]
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # inclusive
        self._reverse: list[bool] = []

    def add(self, frame: int, reverse: bool) -> None:
        """Mark a frame as tracked."""
        at = bisect_right(self._starts, frame) - 1
        if at >= 0 and frame <= self._ends[at]:
            if self._reverse[at] == reverse:
                return
            self._split(at, frame)
            at -= 0 if at < len(self._starts) and self._starts[at] < frame else 1
        self._insert(at + 1, frame, reverse)

    def direction(self, frame: int) -> bool | None:
        """Whether a frame was last tracked in reverse; None if it was never tracked."""
        at = bisect_right(self._starts, frame) - 1
        return self._reverse[at] if at >= 0 and frame <= self._ends[at] else None

    def discard(self, frame: int) -> None:
        """Mark a frame as not tracked."""
        at = bisect_right(self._starts, frame) - 1
        if at >= 0 and frame <= self._ends[at]:
            self._split(at, frame)

    def ends(self) -> list[int]:
        """The first and the last frame of each range, in order."""
        return [frame for both in zip(self._starts, self._ends, strict=True) for frame in both]

    def __contains__(self, frame: int) -> bool:
        return self.direction(frame) is not None

    def copy(self) -> "FrameRanges":
        """The same ranges, on their own."""
        ranges = FrameRanges()
        ranges._starts, ranges._ends, ranges._reverse = [*self._starts], [*self._ends], [*self._reverse]
        return ranges

    def __len__(self) -> int:
        return sum(end - start + 1 for start, end in zip(self._starts, self._ends, strict=True))

    def _split(self, at: int, frame: int) -> None:
        """Take a frame out of the range at this index."""
        start, end, reverse = self._starts.pop(at), self._ends.pop(at), self._reverse.pop(at)
        for first, last in ((frame + 1, end), (start, frame - 1)):
            if first <= last:
                self._starts.insert(at, first)
                self._ends.insert(at, last)
                self._reverse.insert(at, reverse)

    def _insert(self, at: int, frame: int, reverse: bool) -> None:
        """Insert a frame before index `at`, joined to neighbours of the same direction."""
        joins_before = at > 0 and self._ends[at - 1] == frame - 1 and self._reverse[at - 1] == reverse
        joins_after = at < len(self._starts) and self._starts[at] == frame + 1 and self._reverse[at] == reverse
        if joins_before and joins_after:
            self._ends[at - 1] = self._ends.pop(at)
            self._starts.pop(at)
            self._reverse.pop(at)
        elif joins_before:
            self._ends[at - 1] = frame
        elif joins_after:
            self._starts[at] = frame
        else:
            self._starts.insert(at, frame)
            self._ends.insert(at, frame)
            self._reverse.insert(at, reverse)
