"""The frames of an animated image as Pillow reads them."""

from collections.abc import Generator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, overload

from sam3model.errors import InputError
from sam3model.ops.rgb import convert_to_rgb
from sam3model.raster_files import opened_raster, page_count

if TYPE_CHECKING:
    from PIL import Image


def untimed_frames(path: Path) -> "Sequence[Image.Image]":
    """The frames of an animation that does not say how long each is shown; empty for others and damaged files."""
    try:
        with opened_raster(path) as image:
            return () if "duration" in image.info else AnimationFrames(path)
    except InputError:
        return ()


class AnimationFrames(Sequence["Image.Image"]):
    """A sequence of RGB images, each read when it is asked for; only as long as all of it can be read.

    A frame is drawn over those before it. So the file stays open where it was read last, and goes on from there.
    """

    def __init__(self, path: Path) -> None:
        """Empty if the last frame cannot be read. Raises `InputError` if the file is not an image."""
        self._path = path
        self._lock = Lock()
        self._reader: Generator[Image.Image, int] | None = None
        self._last = 0
        with opened_raster(path) as image:
            self._count = page_count(image)
        try:
            self[self._count - 1]
        except InputError:
            self._count = 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, t: int) -> "Image.Image": ...
    @overload
    def __getitem__(self, t: slice) -> "list[Image.Image]": ...
    def __getitem__(self, t: int | slice) -> "Image.Image | list[Image.Image]":
        if isinstance(t, slice):
            return [self[one] for one in range(*t.indices(len(self)))]
        if not -len(self) <= t < len(self):
            raise IndexError(f"there is no frame {t}: the animation has {len(self)}")
        with self._lock:
            return self._read(t % len(self))

    def _read(self, t: int) -> "Image.Image":
        if self._reader is None or t < self._last:
            self._reader = _frames_in_order(self._path)
            next(self._reader)  # to where it takes a number
        reader, self._reader, self._last = self._reader, None, t
        frame = reader.send(t)  # may fail: then the next call starts anew
        self._reader = None if t == self._count - 1 else reader  # the file is closed after the last one
        return frame


def _frames_in_order(path: Path) -> "Generator[Image.Image, int]":
    """Frames by number, none before the one that was sent last; the file is open as long as this is.

    The first value is not a frame of interest: it only starts the generator.
    """
    with opened_raster(path) as image:
        t = yield image
        while True:
            image.seek(t)
            t = yield convert_to_rgb(image)
