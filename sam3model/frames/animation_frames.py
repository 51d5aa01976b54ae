"""The frames of an animated image as Pillow reads them."""

from collections.abc import Sequence
from pathlib import Path
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
    """A sequence of RGB images, each read when it is asked for; only as long as all of it can be read."""

    def __init__(self, path: Path) -> None:
        """Empty if the last frame cannot be read. Raises `InputError` if the file is not an image."""
        self._path = path
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
        with opened_raster(self._path) as image:
            image.seek(t)
            return convert_to_rgb(image)
