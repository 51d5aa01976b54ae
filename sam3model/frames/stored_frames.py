"""What sources share whose frames are all there: clips in files, folders and lists."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import CACHED_FRAMES, FrameCache, check_frame_number


class StoredFrames(ABC):
    """A `FrameSource` with a known number of frames, the last of which are kept; a subclass reads one frame."""

    def __init__(
        self, name: str, count: int, size: tuple[int, int], rate: float, *, cached: int = CACHED_FRAMES
    ) -> None:
        """name: what messages call the source. size: width and height. cached: maximum number of frames kept."""
        self._name, self._count, self._size, self._rate = name, count, size, rate
        self._cache = FrameCache(size, frames=cached)
        self._closed = False

    @property
    def count(self) -> int:
        """Number of frames."""
        return self._count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, upright."""
        return self._size

    @property
    def rate(self) -> float:
        """Average frames per second."""
        return self._rate

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`: (H, W, 3) uint8 RGB, contiguous, read-only.

        Raises:
            FrameRangeError: there is no frame `t`.
            InputError: the source is closed, or what reading the frame raises.
        """
        if self._closed:
            raise InputError(f"{self._name} is closed: open it again to read frames")
        t = check_frame_number(t, self._count, self._name)
        cached = self._cache.get(t)
        return self._cache.put(t, self._read(t)) if cached is None else cached

    def time(self, t: int) -> float:
        """Seconds from the first frame. Raises `FrameRangeError`."""
        return self._seconds(check_frame_number(t, self._count, self._name))

    def close(self) -> None:
        """Release what is held. Frames cannot be read any more."""
        self._closed = True
        self._cache.clear()

    @abstractmethod
    def _read(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`, which is not in the cache."""

    def _seconds(self, t: int) -> float:
        return t / self._rate
