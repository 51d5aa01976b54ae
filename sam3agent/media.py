"""What a question is about: a medium of one or more frames of one size. An image is a medium of one frame."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sam3agent.images import decode_image, open_image, read_source, source_name
from sam3model.errors import ConfigError, InputError
from sam3model.files import is_folder, open_regular
from sam3model.raster_files import opened_raster

if TYPE_CHECKING:
    from PIL import Image

    from sam3model.frames import FrameSource

CLIP_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv")
"""File names that mean a clip; other files are clips if their first bytes say so."""

IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""Brands of image files that use the container of mp4."""


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
    """An upright RGB image as a medium of one frame. pages: number of frames or pages of its file."""

    image: "Image.Image"
    count: int = 1
    pages: int = 1

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


class SharedFrames:
    """A source of frames that several threads may read: one at a time."""

    def __init__(self, source: "FrameSource") -> None:
        self._source = source
        self._lock = threading.Lock()
        self._broken: str | None = None

    @property
    def count(self) -> int | None:
        """Number of frames; None if it is unknown."""
        return self._source.count

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._source.size

    @property
    def rate(self) -> float:
        """Average frames per second."""
        return self._source.rate

    @property
    def damage(self) -> tuple[str, ...]:
        """What is missing, as far as it was noticed: the end, frames that were replaced, a frame that broke off."""
        found = getattr(self._source, "damage", None) or ()
        known = (found,) if isinstance(found, str) else tuple(found)
        return tuple(dict.fromkeys([*known, self._broken] if self._broken else known))

    def is_replaced(self, t: int) -> bool:
        """Whether frame `t`, which was read, could not be decoded, so that another one was shown."""
        return t in getattr(self._source, "replaced", ())

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`, (H, W, 3) uint8 RGB. Raises `InputError` if there is no such frame, or it is damaged."""
        from sam3model.frames import BrokenFrameError

        with self._lock:
            try:
                return self._source.frame(t)
            except BrokenFrameError as error:
                self._broken = self._broken or str(error)
                raise

    def time(self, t: int) -> float:
        """Time of frame `t` in seconds from the start."""
        with self._lock:
            return self._source.time(t)

    def close(self) -> None:
        """Close the source."""
        with self._lock:
            self._source.close()


class ClipMedia:
    """The frames of a clip, decoded when asked for. May be used from several threads.

    frames: the clip as a source. name: what messages call it.
    """

    def __init__(self, source: "FrameSource", name: str = "the clip") -> None:
        """Raises `InputError` if the source does not know its number of frames."""
        if source.count is None:
            raise InputError(f"{name} does not say how many frames it has: save it as a file first")
        self.count = source.count
        self.name = name
        self.frames = SharedFrames(source)

    @property
    def damage(self) -> tuple[str, ...]:
        """What is missing, as far as it was noticed: the end of the file, or frames that cannot be read."""
        return self.frames.damage

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frames.size

    def frame(self, t: int) -> "Image.Image":
        """RGB image of frame `t`. Raises `InputError` if there is no such frame, or it is damaged."""
        from PIL import Image

        return Image.fromarray(self.frames.frame(t))

    def time(self, t: int) -> float:
        """Time of frame `t` in seconds from the start."""
        return self.frames.time(t)

    def part(self, numbers: range) -> "FrameSource":
        """Some frames, ascending, as a source of their own: its frame `i` is frame `numbers[i]` of the clip."""
        from sam3model.frames import Subset

        return Subset(self.frames, numbers.start, numbers.stop, numbers.step)


def open_media(source: "str | Path | bytes | Image.Image | Media", name: str | None = None) -> Media:
    """A medium from the path of a clip, or an image in any form that `open_image` reads; a medium is returned as it is.

    A folder is a clip: its images, in the order of their names, are the frames. `name` is used in error messages.
    Raises `InputError` if the source cannot be read.
    """
    if isinstance(source, Media):
        return source
    if isinstance(source, str | Path):
        if holds_clip(source):
            return open_clip(source) if is_folder(source) or not _is_gif(source) else _open_animation(Path(source))
        return open_encoded(read_source(source), name or source_name(source))
    return open_encoded(source, name) if isinstance(source, bytes) else ImageMedia(open_image(source, name))


def open_encoded(data: bytes, name: str | None = None) -> ImageMedia:
    """The first image of an encoded file. Raises `InputError` if it is not a readable image."""
    image, pages = decode_image(data, name or "the image")
    return ImageMedia(image, pages=pages)


def damage_of(media: Media) -> tuple[str, ...]:
    """What is missing of a clip that was cut off or is damaged, as far as it was noticed, in plain words."""
    return media.damage if isinstance(media, ClipMedia) else ()


def media_remarks(media: Media) -> tuple[str, ...]:
    """What is left out when a medium is searched as an image, in plain words."""
    if isinstance(media, ImageMedia) and media.pages > 1:
        return (f"the file has {media.pages} frames or pages: only the first is used",)
    only = (f"a clip of {media.count} frames: only the first is searched",) if media.count > 1 else ()
    return (*damage_of(media), *only)


def _open_animation(path: Path) -> Media:
    """A GIF as a clip; as an image of its first frame where clips cannot be read."""
    try:
        return open_clip(path)
    except ConfigError:
        return open_encoded(read_source(path), str(path))


def _is_gif(path: str | Path) -> bool:
    with open_regular(path) as file:
        return file.read(4) == b"GIF8"


def open_clip(path: str | Path) -> ClipMedia:
    """The clip in a file, or in a folder with an image per frame.

    Raises `InputError` if the file is missing, damaged, or an image.
    """
    from sam3model.frames import open_frames

    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file {path}")
    if path.is_file() and not is_clip(path) and _is_image(path):
        raise InputError(f"{path} is an image, not a clip: use sam3agent segment")
    return ClipMedia(open_frames(path), str(path))


def holds_clip(path: str | Path) -> bool:
    """Whether a path is opened as a clip: a file that is one, or a folder."""
    return is_folder(path) or is_clip(path)


def is_clip(path: str | Path) -> bool:
    """Whether a file is a clip, by its name or its first bytes. A GIF is a clip if it has several frames."""
    path = Path(path)
    try:
        if not path.is_file():
            return False
    except (OSError, ValueError):  # an impossible name
        return False
    if path.suffix.lower() in CLIP_SUFFIXES:
        return True
    try:
        with open_regular(path) as file:
            head = file.read(16)
    except InputError:
        return False
    if head.startswith(b"GIF8"):
        return _has_frames(path)
    in_mp4 = head[4:8] == b"ftyp" and head[8:12] not in IMAGE_BRANDS
    return in_mp4 or head.startswith(b"\x1a\x45\xdf\xa3") or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")


def _has_frames(path: Path) -> bool:
    try:
        with opened_raster(path) as image:
            return bool(getattr(image, "is_animated", False))
    except InputError:  # opening it as an image then says why
        return False


def _is_image(path: Path) -> bool:
    try:
        with opened_raster(path):
            return True
    except InputError:
        return False
