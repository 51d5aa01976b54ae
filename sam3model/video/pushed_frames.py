"""The source of a live session: frames arrive one by one and only the last ones stay."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import DEFAULT_RATE, FrameRangeError, check_frame_size, check_rate
from sam3model.frames.image_arrays import to_frame
from sam3model.ops.resize import ImageLike

KEPT_FRAMES = 4


class PushedFrames:
    """A `FrameSource` that is filled from outside. Its size is that of the first frame."""

    def __init__(self, rate: float = DEFAULT_RATE) -> None:
        self._rate = check_rate(rate)
        self._frames: dict[int, NDArray[np.uint8]] = {}
        self._times: dict[int, float] = {}
        self._next = 0
        self._size: tuple[int, int] | None = None

    @property
    def count(self) -> int | None:
        """None: more frames may come."""
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels. Raises `InputError` before the first frame."""
        if self._size is None:
            raise InputError("this live session has no frame yet: push one first")
        return self._size

    @property
    def rate(self) -> float:
        """Frames per second, as given."""
        return self._rate

    @property
    def last(self) -> int:
        """Number of the last frame, -1 before the first."""
        return self._next - 1

    def check_last(self, frame: int) -> None:
        """Raise `InputError` unless this is the last frame, the only one that takes prompts."""
        if self._size is None:
            raise InputError("this live session has no frame yet: push one first")
        if frame != self.last:
            raise InputError(f"prompt the last frame of a live session, which is {self.last}, not frame {frame}")

    def push(self, image: ImageLike, time: float | None = None) -> int:
        """Append a frame; returns its number. Raises `InputError` if its size differs from the first."""
        frame = to_frame(image)
        size = (frame.shape[1], frame.shape[0])
        if self._size is not None and self._size != size:
            first = f"{self._size[0]}x{self._size[1]}"
            raise InputError(f"frame {self._next} is {size[0]}x{size[1]} and the first was {first}: scale it to that")
        if time is not None and not (hasattr(time, "__float__") and isfinite(time)):
            raise InputError(f"the time of frame {self._next} is {time}: give seconds from the start, or leave it out")
        check_frame_size(size, "the live session")
        self._size = size
        number = self._next
        self._frames[number] = frame
        self._times[number] = number / self._rate if time is None else time
        self._frames.pop(number - KEPT_FRAMES, None)
        self._next += 1
        return number

    def take_back(self) -> None:
        """Forget the last frame: the next one that is pushed gets its number."""
        self._next -= 1
        self._frames.pop(self._next)
        self.forget_time(self._next)
        self._size = self._size if self._next else None

    def frame(self, t: int) -> NDArray[np.uint8]:
        """A frame (H, W, 3) uint8. Raises `FrameRangeError` if it has not come yet or is no longer kept."""
        if t not in self._frames:
            raise FrameRangeError(f"frame {t} is not kept: a live session keeps the last {KEPT_FRAMES} frames")
        return self._frames[t]

    def time(self, t: int) -> float:
        """Seconds, as given with the frame or by the rate."""
        return self._times.get(t, t / self._rate)

    def forget_time(self, t: int) -> None:
        """Drop the time of a frame whose result has been returned."""
        self._times.pop(t, None)

    def close(self) -> None:
        """Drop all frames."""
        self._frames.clear()
