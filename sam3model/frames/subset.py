"""A part of a source: from a frame to another, and every n-th of them."""

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import EndOfFramesError, FrameRangeError, FrameSource, check_frame_number


class Subset:
    """A `FrameSource` of the frames `start`, `start + step`, … before `stop` of another source.

    Times are those of the other source. `source_frame` gives the numbers in the clip or folder itself, also for a part
    of a part.
    """

    def __init__(self, source: FrameSource, start: int = 0, stop: int | None = None, step: int = 1) -> None:
        """stop: the first frame that is left out; None for the end of the source.

        Raises:
            InputError: `step` is below 1, `start` is negative, or no frame remains.
        """
        if step < 1:
            raise InputError(f"every n-th frame needs n of at least 1, not {step}")
        if start < 0 or (stop is not None and stop <= start):
            raise InputError(
                f"frames {start} to {stop} are no range: it must start at 0 or later and end after its start"
            )
        if source.count is not None and start >= source.count:
            raise InputError(f"the frames start at {start}, but the source has only {source.count} frames")
        self.source = source
        self._start, self._stop, self._step = start, stop, step

    @property
    def count(self) -> int | None:
        """Number of frames; None while the number of the other source is unknown."""
        total = self.source.count
        if total is None:
            return None
        stop = total if self._stop is None else min(self._stop, total)
        return max(0, -((self._start - stop) // self._step))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.source.size

    @property
    def rate(self) -> float:
        """Average frames per second, of the frames that remain."""
        return self.source.rate / self._step

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t` of those that remain; raises as the other source does."""
        return self.source.frame(self._inner(t))

    def time(self, t: int) -> float:
        """Seconds from the first frame of the other source. Raises `FrameRangeError`."""
        return self.source.time(self._inner(t))

    def source_frame(self, t: int) -> int:
        """Number that frame `t` has in the clip or folder. Raises `FrameRangeError`."""
        return source_frame(self.source, self._inner(t))

    def close(self) -> None:
        """Close the other source."""
        self.source.close()

    def _inner(self, t: int) -> int:
        """Number of frame `t` in the other source."""
        count = self.count
        if count is not None:
            check_frame_number(t, count, "the part of the source")
        number = self._start + int(t) * self._step
        if t < 0:
            raise FrameRangeError(f"the part of the source has no frame {t}: frames are numbered from 0")
        if self._stop is not None and number >= self._stop:
            raise EndOfFramesError(f"the part of the source has no frame {t}: it ends before")
        return number


def every(source: FrameSource, n: int) -> FrameSource:
    """Every n-th frame, from the first; the source itself for n = 1. Raises `InputError` if n is below 1."""
    return source if n == 1 else Subset(source, step=n)


def window(source: FrameSource, start: int = 0, stop: int | None = None) -> FrameSource:
    """The frames from `start` to before `stop`; all by default. Raises `InputError` if none remain."""
    return source if start == 0 and stop is None else Subset(source, start, stop)


def source_frame(source: FrameSource, t: int) -> int:
    """Number that frame `t` has in the clip or folder: `t` unless `source` is a part of it."""
    inner = getattr(source, "source_frame", None)
    return t if inner is None else inner(t)
