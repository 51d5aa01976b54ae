"""What a source of frames is, the errors that it raises, and the cache of the frames read last."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError

MAX_FRAME_PIXELS = 100_000_000
"""Larger frames are refused: three times the pixels of 8K video, several of which are held at a time."""

DEFAULT_RATE = 25.0
"""Frames per second of sources that have no times of their own: folders, lists and iterators."""

CACHED_FRAMES = 32
CACHED_BYTES = 64 * 1024 * 1024


class FrameRangeError(InputError):
    """A frame number outside a source, or one that a stream no longer keeps."""


class EndOfFramesError(FrameRangeError):
    """A frame number past the end of a source."""


class BrokenFrameError(InputError):
    """A frame that cannot be read because the source is damaged or ends too early.

    last_good: number of the last frame that can be read, -1 if there is none. Results up to it remain valid.
    """

    def __init__(self, message: str, last_good: int) -> None:
        super().__init__(message)
        self.last_good = last_good


@runtime_checkable
class FrameSource(Protocol):
    """Frames of one size, numbered from 0 in the order in which they are shown. For one thread at a time."""

    @property
    def count(self) -> int | None:
        """Number of frames; None while it is unknown (an iterator that has not ended)."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        ...

    @property
    def rate(self) -> float:
        """Average frames per second."""
        ...

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`: (H, W, 3) uint8 RGB, contiguous, read-only. Any order is possible; reading forwards is fast.

        Raises:
            FrameRangeError: the source has no frame `t`; `EndOfFramesError` if it ended before.
            BrokenFrameError: frame `t` is missing or damaged.
        """
        ...

    def time(self, t: int) -> float:
        """Time of frame `t` in seconds from the first frame. Raises `FrameRangeError`."""
        ...

    def close(self) -> None:
        """Release files and threads. A closed source cannot be read; closing twice is harmless."""
        ...


class FrameCache:
    """The frames used last, limited in number and bytes."""

    def __init__(self, size: tuple[int, int], frames: int = CACHED_FRAMES, limit: int = CACHED_BYTES) -> None:
        """size: width and height of every frame. At least one frame is kept, however large it is."""
        self.capacity = max(1, min(frames, limit // max(1, size[0] * size[1] * 3)))
        self._frames: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, t: int) -> bool:
        return t in self._frames

    def get(self, t: int) -> NDArray[np.uint8] | None:
        """Frame `t` if it is kept."""
        if t in self._frames:
            self._frames.move_to_end(t)
        return self._frames.get(t)

    def peek(self, t: int) -> NDArray[np.uint8] | None:
        """Frame `t` if it is kept, without counting as a use: frames then leave in the order in which they came."""
        return self._frames.get(t)

    def put(self, t: int, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Keep `frame`, from now on read-only, and drop the one unused for longest; returns `frame`."""
        frame.flags.writeable = False
        self._frames[t] = frame
        self._frames.move_to_end(t)
        while len(self._frames) > self.capacity:
            self._frames.popitem(last=False)
        return frame

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()


def check_frame_number(t: int, count: int, name: str) -> int:
    """`t` as an int. Raises `FrameRangeError` unless 0 <= t < count."""
    if not 0 <= t < count:
        kind = FrameRangeError if t < 0 else EndOfFramesError
        raise kind(f"{name} has no frame {t}: its frames are 0 to {count - 1}")
    return int(t)


def check_rate(rate: float) -> float:
    """Raises `InputError` unless `rate`, in frames per second, is a positive and finite number."""
    if isinstance(rate, str | bytes) or not hasattr(rate, "__float__") or not 0 < rate < float("inf"):
        raise InputError(f"the rate must be a positive number of frames per second, not {rate}")
    return float(rate)


def check_frame_size(size: tuple[int, int], name: str) -> None:
    """Raises `InputError` if frames of this size are too large to read."""
    width, height = size
    if width * height > MAX_FRAME_PIXELS:
        limit = MAX_FRAME_PIXELS // 1_000_000
        raise InputError(f"the frames of {name} are too large: {width}x{height} pixels; the limit is {limit} million")


def read_frames(
    source: FrameSource, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames from `start` to before `stop`, or to the end of the source, each with its number.

    It works for sources whose count is unknown. Raises `BrokenFrameError` as `FrameSource.frame` does.
    """
    t = start
    while (stop is None or t < stop) and (source.count is None or t < source.count):
        try:
            frame = source.frame(t)
        except EndOfFramesError:
            return
        yield t, frame
        t += 1
