"""The output folder of a server: results of bounded size, the images of replies, pasted images, and `sam3://` names."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sam3agent.images import decode_image
from sam3agent.servers.written_paths import RESULTS
from sam3model.errors import InputError, OutputError
from sam3model.files import open_regular, private_folder, replacing
from sam3model.untrusted import clean_line

SHOWN = "shown"
PASTED = "pasted"

MAX_SHOWN = 200
"""Number of images of replies that are kept as files; the oldest are deleted."""

MAX_PART = 500_000
"""Maximum number of bytes of a result file in one reply."""

MAX_LISTED = 500
"""Maximum number of result files in a list, the newest first."""

_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
}


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file of the output folder. size: in bytes."""

    path: Path
    address: str
    size: int

    @property
    def media_type(self) -> str:
        """The MIME type, by the ending of its name."""
        return _MEDIA_TYPES.get(self.path.suffix.lower(), "application/octet-stream")


class ResultFolder:
    """The folder that a server writes into. limit: maximum number of bytes in it."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._counted: tuple[float, int] | None = None

    def check_room(self) -> None:
        """Raise `OutputError` if the folder has reached its limit, or cannot be made. Its owner alone may enter it."""
        private_folder(self.folder)
        if self._size() >= self.limit:
            raise OutputError(
                f"the output folder {self.folder} has reached its limit of {self.limit / 1e9:g} GB: "
                "delete old results, or raise --out-limit"
            )

    def keep_shown(self, data: bytes, label: str) -> Path | None:
        """The file of an image that is sent in a reply; None if it cannot be written."""
        path = self.folder / SHOWN / f"{label}-{hashlib.sha256(data).hexdigest()[:12]}.jpg"
        try:
            self.check_room()
            if not path.exists():
                with replacing(path) as temporary:
                    temporary.write_bytes(data)
                self._drop_oldest(path.parent)
        except (OSError, OutputError):
            return None
        return path

    def keep_pasted(self, data: bytes) -> Path:
        """The file of an image from a request. Raises `InputError` if it is none, `OutputError` if there is no room."""
        path = self.folder / PASTED / f"{hashlib.sha256(data).hexdigest()[:16]}.image"
        if not path.exists():
            decode_image(data, "the pasted image")
            self.check_room()
            with replacing(path) as temporary:
                temporary.write_bytes(data)
        return path

    def address(self, path: Path) -> str:
        """The `sam3://` name of a file of the folder."""
        return RESULTS + quote(path.relative_to(self.folder).as_posix())

    def path(self, name: str) -> Path:
        """The path of a result by its name below the folder. Raises `InputError` if it would be elsewhere."""
        missing = InputError(f"there is no result {clean_line(name, 120)}")
        try:
            path = (self.folder / name).resolve()
        except (OSError, RuntimeError, ValueError):  # too long, a loop of links, a null byte
            raise missing from None
        if not path.is_relative_to(self.folder) or path == self.folder:
            raise missing
        return path

    def listed(self) -> list[ResultFile]:
        """The files of the folder, the newest first."""
        found = sorted(self._files(), key=lambda entry: -entry[1].st_mtime)
        return [ResultFile(path, self.address(path), status.st_size) for path, status in found[:MAX_LISTED]]

    def read(self, name: str, offset: int, length: int) -> tuple[bytes, ResultFile]:
        """A part of a file, by its name below the folder. Raises `InputError` if there is none."""
        path = self.path(name)
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(min(max(0, offset), size))
            data = file.read(max(0, min(length, MAX_PART)))
        return data, ResultFile(path, self.address(path), size)

    def _size(self) -> int:
        """Bytes in the folder, counted at most every few seconds."""
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > 5:
            self._counted = now, sum(status.st_size for _, status in self._files())
        return self._counted[1]

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for parent, _, names in os.walk(self.folder):
            for name in names:
                path = Path(parent) / name
                with suppress(OSError):
                    if not name.startswith(".") and not path.is_symlink():
                        yield path, path.stat()

    def _drop_oldest(self, folder: Path) -> None:
        files = sorted(folder.glob("*.jpg"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MAX_SHOWN]:
            path.unlink(missing_ok=True)
