"""What a question is about: a medium of one or more frames of one size. An image is a medium of one frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sam3agent.images import open_image

if TYPE_CHECKING:
    from PIL import Image


@runtime_checkable
class Media(Protocol):
    """Frames of one size, numbered from 0."""

    @property
    def count(self) -> int:
        """Number of frames."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    def frame(self, t: int) -> "Image.Image":
        """RGB image of frame `t`, 0 <= t < count."""
        ...

    def time(self, t: int) -> float:
        """Time of frame `t` in seconds from the start."""
        ...


@dataclass(frozen=True, eq=False)
class ImageMedia:
    """An upright RGB image as a medium of one frame."""

    image: "Image.Image"
    count: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    def frame(self, t: int = 0) -> "Image.Image":
        """The image."""
        return self.image

    def time(self, t: int = 0) -> float:
        """0: an image has no duration."""
        return 0.0


def open_media(source: "str | Path | bytes | Image.Image | Media", name: str | None = None) -> Media:
    """A medium from an image in any form that `open_image` reads; a medium is returned as it is.

    `name` is used in error messages. Raises `InputError` if the source cannot be read.
    """
    if isinstance(source, Media):
        return source
    return ImageMedia(open_image(source, name))
