"""Reading frames ahead in a thread, while a model works on the current one."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import FrameSource

_AHEAD = 2


class PrefetchedSource:
    """A `FrameSource` that reads the next frames of another in a thread, in the direction of the last two requests.

    All frames are read in that one thread. An error of a frame read ahead is raised when that frame is asked for.
    """

    def __init__(self, source: FrameSource, ahead: int = _AHEAD) -> None:
        """ahead: number of frames read ahead, each of which is held until it is asked for or no longer next."""
        self.source = source
        self._ahead = ahead
        self._pending: dict[int, Future[NDArray[np.uint8]]] = {}
        self._last = 0
        self._step = 1
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="frames")

    @property
    def count(self) -> int | None:
        """Number of frames of the other source."""
        return self.source.count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.source.size

    @property
    def rate(self) -> float:
        """Average frames per second."""
        return self.source.rate

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`, and a start on the frames after it; raises as the other source does."""
        if self._pool is None:
            raise InputError("the source of frames is closed")
        if t != self._last:
            self._step = -1 if t == self._last - 1 else 1
        self._last = t
        wanted = self._pending.pop(t, None) or self._pool.submit(self.source.frame, t)
        following = [t + self._step * (i + 1) for i in range(self._ahead)]
        for number in [n for n in self._pending if n not in following]:
            self._pending.pop(number).cancel()
        for number in following:
            if number not in self._pending and self._exists(number):
                self._pending[number] = self._pool.submit(self.source.frame, number)
        return wanted.result()

    def time(self, t: int) -> float:
        """Time of frame `t` in seconds; raises as the other source does."""
        return self.source.time(t)

    def source_frame(self, t: int) -> int:
        """Number that frame `t` has in the clip or folder."""
        inner = getattr(self.source, "source_frame", None)
        return t if inner is None else inner(t)

    def close(self) -> None:
        """Stop reading ahead, wait for the frame in flight, and close the other source."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._pending.clear()
        self.source.close()

    def _exists(self, t: int) -> bool:
        return t >= 0 and (self.source.count is None or t < self.source.count)


def prefetched(source: FrameSource, ahead: int = _AHEAD) -> FrameSource:
    """`source`, read ahead in a thread by up to `ahead` frames."""
    return PrefetchedSource(source, ahead)
