"""Frames from an iterator, each of which can be read only once."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_list import checked_frame
from sam3model.frames.frame_source import (
    DEFAULT_RATE,
    EndOfFramesError,
    FrameCache,
    FrameRangeError,
    check_frame_size,
    check_rate,
)
from sam3model.frames.image_arrays import to_frame

if TYPE_CHECKING:
    from sam3model.ops.resize import ImageLike

WINDOW = 8


class FrameStream:
    """A `FrameSource` of an iterator or generator. The first frame is read at once, the others when asked for.

    The frames read last stay available; earlier ones raise `FrameRangeError`. `count` is None until the iterator ends.
    What the iterator raises is passed on.
    """

    def __init__(self, images: "Iterable[ImageLike]", *, rate: float = DEFAULT_RATE, window: int = WINDOW) -> None:
        """images: what `sam3model.ops.resize.to_rgb` accepts, all of one size. rate: frames per second.

        window: number of frames that stay available, fewer if they are very large.

        Raises:
            InputError: there is no frame, or the first is not an image.
        """
        if window < 1:
            raise InputError(f"the window of a stream must be at least 1 frame, not {window}")
        self._rate = check_rate(rate)
        self._images: Iterator[ImageLike] = iter(images)
        self._count: int | None = None
        self._closed = False
        try:
            first = to_frame(next(self._images))
        except StopIteration:
            raise InputError("the stream has no frames: its iterator ended at once") from None
        self._size = (first.shape[1], first.shape[0])
        check_frame_size(self._size, "the stream")
        self._kept = FrameCache(self._size, frames=window)
        self._kept.put(0, first)
        self._read = 1

    @property
    def count(self) -> int | None:
        """Number of frames; None until the iterator has ended."""
        return self._count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size

    @property
    def rate(self) -> float:
        """Frames per second, as given."""
        return self._rate

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`: (H, W, 3) uint8 RGB, contiguous, read-only. Reads the iterator up to `t`.

        Raises:
            EndOfFramesError: the iterator ended before frame `t`.
            FrameRangeError: frame `t` is no longer kept.
            InputError: the stream is closed, or an element is not an image, or differs in size from the first.
        """
        if self._closed:
            raise InputError("the stream is closed: open it again to read frames")
        self._check_not_negative(t)
        while self._read <= t and self._count is None:
            self._read_next()
        if t >= self._read:
            raise EndOfFramesError(f"the stream has no frame {t}: it ended after {self._read} frames")
        kept = self._kept.peek(t)
        if kept is None:
            raise FrameRangeError(
                f"frame {t} of the stream has passed: only the last {self._kept.capacity} frames are kept"
            )
        return kept

    def time(self, t: int) -> float:
        """Seconds from the first frame, by the rate. Raises `FrameRangeError`."""
        self._check_not_negative(t)
        if self._count is not None and t >= self._count:
            raise EndOfFramesError(f"the stream has no frame {t}: it ended after {self._count} frames")
        return t / self._rate

    def close(self) -> None:
        """Drop the frames that are kept, and close the iterator if it is a generator."""
        self._closed = True
        self._kept.clear()
        self._count = self._read
        close = getattr(self._images, "close", None)
        if callable(close):
            close()

    def _read_next(self) -> None:
        try:
            image = next(self._images)
        except StopIteration:
            self._count = self._read
            return
        self._kept.put(self._read, checked_frame(image, self._read, self._size))
        self._read += 1

    @staticmethod
    def _check_not_negative(t: int) -> None:
        if t < 0:
            raise FrameRangeError(f"the stream has no frame {t}: frames are numbered from 0")
