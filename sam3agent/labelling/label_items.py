"""One image to label: where it is, under which name it is written, and how a worker reads it."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

from sam3agent.downloads import local_source
from sam3agent.images import read_source
from sam3agent.media import ClipMedia, ImageMedia, Media, open_clip, open_encoded
from sam3model.errors import ConfigError, InputError, reason_of
from sam3model.files import open_regular, writable_name
from sam3model.frames.frame_folder import IMAGE_SUFFIXES
from sam3model.raster_files import MAX_FILE_BYTES

OPEN_CLIPS = 2
"""Number of clips that a reader keeps open: their decoders are slow to start."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a file of its own."""

    path: str


@dataclass(frozen=True, slots=True)
class WebImage:
    """An image behind a URL."""

    url: str


@dataclass(frozen=True, slots=True)
class FrameOfClip:
    """A frame of a clip, numbered from 0."""

    path: str
    frame: int


@dataclass(frozen=True, slots=True)
class TarMember:
    """An image in a tar archive: its bytes in the archive."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TableCell:
    """Encoded bytes in a column of a Parquet file."""

    path: str
    group: int
    row: int
    column: str


@dataclass(frozen=True, slots=True)
class UnreadableSource:
    """A source whose images, or the rest of them, cannot be found: it fails like an image. reason: why."""

    path: str
    reason: str


MAX_PART, MAX_PART_BYTES = 120, 200
"""Longest name of a file or folder in the data set, in characters and in bytes; disks take 255 bytes."""

Place = ImageFile | WebImage | FrameOfClip | TarMember | TableCell | UnreadableSource


@dataclass(frozen=True, slots=True)
class LabelItem:
    """One image to label.

    source: unique in a run; what messages and the journal call it. name: path of the image in the data set, relative,
    with slashes. group: items of one group stay in one split; frames of one clip are a group.
    """

    source: str
    name: str
    group: str
    place: Place

    def absolute(self) -> "LabelItem":
        """The same item for a process with another working directory."""
        if isinstance(self.place, WebImage):
            return self
        return replace(self, place=replace(self.place, path=str(Path(self.place.path).absolute())))

    def stamp(self) -> list[int] | None:
        """Size and time of the file that holds it, to notice that it has changed; None for a URL or a missing file."""
        if isinstance(self.place, WebImage):
            return None
        try:
            found = Path(self.place.path).stat()
        except (OSError, ValueError):
            return None
        return [found.st_size, found.st_mtime_ns]


@dataclass(frozen=True, eq=False, slots=True)
class OpenedItem:
    """An image that was read. data: its encoded bytes; None for a frame of a clip."""

    media: Media
    data: bytes | None


class ItemReader:
    """Reads items; keeps the last clips and the last part of a table open. Safe to call from several threads."""

    def __init__(self) -> None:
        self._clips: OrderedDict[str, ClipMedia] = OrderedDict()
        self._part: tuple[tuple[str, int, str], Sequence[Any]] | None = None
        self._lock = threading.Lock()

    def read(self, item: LabelItem) -> OpenedItem:
        """The image of an item. Raises `InputError` if it cannot be read."""
        match item.place:
            case FrameOfClip(path, frame):
                return OpenedItem(open_frame(self._clip(path), frame), None)
            case ImageFile(path):
                data = read_source(path)
            case WebImage(url):
                with local_source(url) as path:
                    data = read_source(path)
            case TarMember():
                data = _member(item.place)
            case TableCell():
                data = self._cell(item.place)
            case UnreadableSource(_, reason):
                raise InputError(reason)
            case _:
                assert_never(item.place)
        return OpenedItem(open_encoded(data, item.source), data)

    def close(self) -> None:
        """Close all clips."""
        with self._lock:
            for clip in self._clips.values():
                clip.frames.close()
            self._clips.clear()

    def _clip(self, path: str) -> ClipMedia:
        with self._lock:
            if path not in self._clips:
                self._clips[path] = open_clip(path)
            self._clips.move_to_end(path)
            while len(self._clips) > OPEN_CLIPS:
                self._clips.popitem(last=False)
            return self._clips[path]

    def _cell(self, cell: TableCell) -> bytes:
        part = (cell.path, cell.group, cell.column)
        with self._lock:
            if self._part is None or self._part[0] != part:
                self._part = part, table_column(*part)
            value = self._part[1][cell.row]
        value = value.as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise InputError(f"{cell.path}: row {cell.row} of row group {cell.group} has no bytes in {cell.column!r}")
        return data


def open_frame(clip: Media, frame: int) -> Media:
    """A frame of a clip as an image of its own. Raises `InputError` if it is damaged, or another would be shown."""
    image = clip.frame(frame)
    if isinstance(clip, ClipMedia) and clip.frames.is_replaced(frame):
        raise InputError(f"{clip.name} is damaged: frame {frame} cannot be decoded")
    return ImageMedia(image)


def table_column(path: str, group: int, column: str) -> Sequence[Any]:
    """The values of a column in one row group of a Parquet file. Raises `InputError` if it cannot be read."""
    try:
        return parquet_file(path).read_row_group(group, columns=[column]).column(column)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error


def parquet_file(path: str) -> Any:
    """A Parquet file, opened. Raises `ConfigError` without pyarrow, `InputError` if it is not one."""
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError("Parquet files need pyarrow: pip install 'sam3agent[parquet]'") from error
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error


def clean_name(name: str, ending: str = ".jpg") -> str:
    """A name from outside as a relative path that is safe to write.

    ending: added to a name that does not end like an image.

    A part that is too long keeps its end, with a hash of the rest.

    >>> clean_name("../../a\\\\b/c?.png"), clean_name("/x/photo")
    ('a/b/c_.png', 'x/photo.jpg')
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    path = "/".join(map(clean_part, parts)) or "image"
    return path if path.lower().endswith(tuple(IMAGE_SUFFIXES)) else path + ending


def clean_part(part: str) -> str:
    """One part of a path as a name that is safe to write; a backslash in it is no separator."""
    clean = writable_name(part)
    end = clean[-MAX_PART:].encode()[-MAX_PART_BYTES:].decode("utf-8", "ignore")
    if end == clean:
        return clean
    return f"{short_hash(part)}-{end}"


def short_hash(text: str) -> str:
    """8 hexadecimal digits that tell a name from others."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


def _member(member: TarMember) -> bytes:
    if member.size > MAX_FILE_BYTES:
        raise InputError(f"an image in {member.path} is too large: the limit is {MAX_FILE_BYTES / 1e6:.0f} MB")
    with open_regular(member.path) as file:
        file.seek(member.offset)
        return file.read(member.size)
