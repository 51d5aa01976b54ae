"""The folders that a server may read: links are resolved, and a file is checked and opened in one step."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sam3agent.media import ClipMedia, Media, is_clip, open_encoded
from sam3agent.servers.written_paths import as_slashes
from sam3model.errors import ConfigError, InputError
from sam3model.files import expanded, open_regular, read_at_most
from sam3model.raster_files import MAX_FILE_BYTES
from sam3model.untrusted import clean_line

if TYPE_CHECKING:
    from sam3model.frames import FrameSource

MAX_CLIP_BYTES = 8 * 1024**3
"""A larger clip is refused. Clips are read frame by frame, so the limit is far above that of images."""

_HANDLES = Path("/proc/self/fd")

FileKey = tuple[str, int, int, int]
"""Path, inode, time of change and size of a file: another key is another file, or another state of it."""


@dataclass(frozen=True, eq=False)
class ConfinedFile:
    """An open regular file inside the folders that may be read. path: its real path."""

    file: BinaryIO
    path: Path

    @property
    def key(self) -> FileKey:
        """What distinguishes this state of the file from all others."""
        status = os.fstat(self.file.fileno())
        return str(self.path), status.st_ino, status.st_mtime_ns, status.st_size

    def media(self) -> Media:
        """The image or clip in the file. What was opened is what is read, even if the path changes meanwhile.

        Raises `InputError` if it is neither, is damaged, or is too large.
        """
        size = os.fstat(self.file.fileno()).st_size
        if is_clip(self.path):
            if size > MAX_CLIP_BYTES:
                raise InputError(f"{self.path} is too large: the limit for clips is {MAX_CLIP_BYTES / 1e9:.0f} GB")
            return self._clip()
        return self._image(size)

    def _image(self, size: int) -> Media:
        if size > MAX_FILE_BYTES:
            raise InputError(f"{self.path} is too large: the limit for images is {MAX_FILE_BYTES / 1e6:.0f} MB")
        self.file.seek(0)
        data = read_at_most(self.file, MAX_FILE_BYTES, str(self.path))
        if not data:
            raise InputError(f"{self.path} is empty")
        return open_encoded(data, str(self.path))

    def _clip(self) -> Media:
        """The clip, read through the open file where the system has a name for that."""
        from sam3model.frames import ClipFile

        by_handle = _HANDLES / str(self.file.fileno())
        source = by_handle if by_handle.exists() else self.path
        try:
            return _HeldClip(ClipFile(source), self)
        except ConfigError:
            if self.path.suffix.lower() == ".gif":
                return self._image(os.fstat(self.file.fileno()).st_size)
            raise
        except InputError as error:
            raise InputError(str(error).replace(str(source), str(self.path))) from error


class _HeldClip(ClipMedia):
    """A clip whose file stays open as long as it is used."""

    def __init__(self, source: "FrameSource", file: ConfinedFile) -> None:
        super().__init__(source, str(file.path))
        self.file = file


class Roots:
    """The folders that a server may read from. The first one is where relative paths are looked for first."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = tuple(dict.fromkeys(expanded(folder).resolve() for folder in folders))

    def resolve(self, path: str | Path) -> Path:
        """The real path of a file, with links resolved; a relative path is looked for in every folder.

        Raises `InputError` if it is outside all folders.
        """
        written = Path(path)
        places = [folder / written for folder in self.folders]
        if "\\" in str(path) and os.sep == "/":
            places += [folder / as_slashes(written) for folder in self.folders]
        try:
            found = [place.resolve() for place in places]
            if not self._contains(found[0]):
                raise self._outside(path)
            for place, real in zip(places, found, strict=True):
                if self._contains(real) and real.exists():
                    return real
                if place.is_symlink():
                    raise self._outside(path)
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{clean_line(repr(str(path)), 80)} is not a usable path") from error
        return found[0]

    def open(self, path: str | Path) -> ConfinedFile:
        """Open a regular file for reading.

        Raises `InputError` if it is outside all folders, missing, or not a regular file.
        """
        real = self.resolve(path)
        file = open_regular(real)
        try:
            opened = _real_path(file, real)
            if not self._contains(opened):  # a link was changed between the two steps
                raise self._outside(path)
        except BaseException:
            file.close()
            raise
        return ConfinedFile(file, opened)

    def _contains(self, real: Path) -> bool:
        return any(real.is_relative_to(folder) for folder in self.folders)

    def _outside(self, path: str | Path) -> InputError:
        allowed = ", ".join(map(str, self.folders))
        return InputError(
            f"{clean_line(str(path), 200)} is outside the folders that may be read ({allowed}); "
            "allow others with --root when the server is started"
        )


def _real_path(file: BinaryIO, expected: Path) -> Path:
    """Where an open file lies. Raises `InputError` if that cannot be told for certain."""
    with suppress(OSError):
        return (_HANDLES / str(file.fileno())).readlink()
    now, held = expected.resolve(), os.fstat(file.fileno())
    with suppress(OSError):
        found = now.stat()
        if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
            return now
    raise InputError(f"{expected} has changed while it was opened: try again")
