"""Frames that are in memory already."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import (
    DEFAULT_RATE,
    FrameCache,
    check_frame_number,
    check_frame_size,
    check_rate,
)
from sam3model.frames.image_arrays import to_frame

if TYPE_CHECKING:
    from sam3model.ops.resize import ImageLike

_CONVERTED = 4


class FrameList:
    """A `FrameSource` of a sequence of images of one size, each converted when it is read."""

    def __init__(self, images: "Sequence[ImageLike] | Any", *, rate: float = DEFAULT_RATE) -> None:
        """images: arrays, PIL images or tensors as `sam3model.ops.resize.to_rgb` accepts, or one array or tensor of
        four dimensions. rate: frames per second.

        Raises:
            InputError: the sequence is empty, or its first element is not an image.
        """
        if not len(images):
            raise InputError("a list of no images has no frames: give at least one")
        self._images = images
        self._rate = check_rate(rate)
        first = to_frame(images[0])
        self._size = (first.shape[1], first.shape[0])
        check_frame_size(self._size, "the list")
        self._cache = FrameCache(self._size, frames=_CONVERTED)
        self._cache.put(0, first)

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self._images)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size

    @property
    def rate(self) -> float:
        """Frames per second, as given."""
        return self._rate

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`: (H, W, 3) uint8 RGB, contiguous, read-only.

        Raises:
            FrameRangeError: there is no frame `t`.
            InputError: element `t` is not an image, or differs in size from the first.
        """
        t = check_frame_number(t, self.count, "the list of images")
        cached = self._cache.get(t)
        if cached is not None:
            return cached
        return self._cache.put(t, checked_frame(self._images[t], t, self._size))

    def time(self, t: int) -> float:
        """Seconds from the first frame, by the rate. Raises `FrameRangeError`."""
        return check_frame_number(t, self.count, "the list of images") / self._rate

    def close(self) -> None:
        """Drop the converted frames; the images belong to the caller."""
        self._cache.clear()


def checked_frame(image: "ImageLike", t: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Image `t` as a frame. Raises `InputError` unless it is an image of this width and height."""
    try:
        frame = to_frame(image)
    except InputError as error:
        raise InputError(f"frame {t}: {error}") from error
    if (frame.shape[1], frame.shape[0]) != size:
        raise InputError(
            f"frame {t} is {frame.shape[1]}x{frame.shape[0]} and frame 0 is {size[0]}x{size[1]}: "
            "scale all frames to one size"
        )
    return frame
