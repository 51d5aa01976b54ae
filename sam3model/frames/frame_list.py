"""Frames that are in memory already."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.frame_source import DEFAULT_RATE, check_frame_size, check_rate
from sam3model.frames.image_arrays import to_frame
from sam3model.frames.stored_frames import StoredFrames

if TYPE_CHECKING:
    from sam3model.ops.resize import ImageLike

_CONVERTED = 4


class FrameList(StoredFrames):
    """A `FrameSource` of a sequence of images of one size, each converted when it is read."""

    def __init__(self, images: "Sequence[ImageLike] | Any", *, rate: float = DEFAULT_RATE) -> None:
        """images: arrays, PIL images or tensors as `sam3model.ops.resize.to_rgb` accepts, or one array or tensor of
        four dimensions. rate: frames per second.

        Raises:
            InputError: the sequence is empty, or its first element is not an image.
        """
        if not len(images):
            raise InputError("a list of no images has no frames: give at least one")
        rate, first = check_rate(rate), to_frame(images[0])
        size = (first.shape[1], first.shape[0])
        check_frame_size(size, "the list")
        super().__init__("the list of images", len(images), size, rate, cached=_CONVERTED)
        self._images = images
        self._cache.put(0, first)

    def _read(self, t: int) -> NDArray[np.uint8]:
        """Raises `InputError` if element `t` is not an image, or differs in size from the first."""
        return checked_frame(self._images[t], t, self._size)


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
