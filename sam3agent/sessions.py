"""Pictures kept open between the calls of a server: each encoded once, its mask ids valid as long as it stays open."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sam3agent.agent.pool import MaskPool
from sam3agent.images import open_picture
from sam3agent.segmenter import Segmenter
from sam3agent.tools.workbench import Workbench
from sam3model.errors import InputError


class Roots:
    """The folders that a server may read from; links are followed before the comparison."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = tuple(dict.fromkeys(Path(folder).expanduser().resolve() for folder in folders))

    def resolve(self, name: str) -> Path:
        """The real path of a file, given absolute, relative to the first folder, or as a `file:` address.

        Raises `InputError` where it lies outside of all folders.
        """
        path = Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)
        try:
            real = (self.folders[0] / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{name!r} is no usable path") from error
        if not any(real.is_relative_to(folder) for folder in self.folders):
            allowed = ", ".join(map(str, self.folders))
            raise InputError(f"{name} lies outside the folders that may be read ({allowed}); allow others with --root")
        return real


class OpenPicture:
    """One picture and its masks; `bench` is replaced as tools find more, by whoever holds `turn`."""

    def __init__(self, path: Path, bench: Workbench) -> None:
        self.path = path
        self.bench = bench
        self.turn = threading.Lock()

    def keep(self, pool: MaskPool) -> None:
        """Remember the masks that a tool or an answer left."""
        self.bench = self.bench.with_pool(pool)


class Sessions:
    """The pictures used last, at most `capacity` of them. Calls on one picture take turns, others need not wait."""

    def __init__(self, segmenter: Segmenter, *, threshold: float | None = None, capacity: int = 4) -> None:
        self.segmenter = segmenter
        self.threshold = threshold
        self.capacity = capacity
        self._open: OrderedDict[tuple[Path, int, int], OpenPicture] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def picture(self, path: Path) -> Iterator[OpenPicture]:
        """The open picture of a file, opened where it is not or has changed since.

        Raises `InputError` for what is no picture, `CheckpointError` where the weights cannot be loaded.
        """
        with self._lock:
            try:
                stat = path.stat()
            except OSError as error:
                raise InputError(f"there is no file {path}") from error
            key = (path, stat.st_mtime_ns, stat.st_size)
            if key not in self._open:
                image = open_picture(path)
                self._open[key] = OpenPicture(
                    path, Workbench(image, self.segmenter.open(image), MaskPool(), self.threshold)
                )
            self._open.move_to_end(key)
            while len(self._open) > self.capacity:
                self._open.popitem(last=False)
            opened = self._open[key]
        with opened.turn:
            yield opened
