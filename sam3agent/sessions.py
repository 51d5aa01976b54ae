"""Images and clips kept open between calls of a server: encoded once, with mask ids that stay valid while open."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sam3agent.media import open_media
from sam3agent.pool import MaskPool
from sam3agent.segmenter import Segmenter
from sam3agent.tracker import ObjectTracker
from sam3agent.workbench import Workbench
from sam3model.errors import InputError


class Roots:
    """The folders that a server may read from; symbolic links are resolved before the comparison."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = tuple(dict.fromkeys(Path(folder).expanduser().resolve() for folder in folders))

    def resolve(self, name: str) -> Path:
        """The real path of a file, given absolute, relative to the first folder, or as a `file:` URL.

        Raises `InputError` if it is outside all folders.
        """
        path = Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)
        try:
            real = (self.folders[0] / path).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{name!r} is not a usable path") from error
        if not any(real.is_relative_to(folder) for folder in self.folders):
            allowed = ", ".join(map(str, self.folders))
            raise InputError(f"{name} is outside the folders that may be read ({allowed}); allow others with --root")
        return real


class OpenImage:
    """An open image or clip file. Whoever holds `turn` may replace `bench` as tools find more masks."""

    def __init__(self, path: Path, make: Callable[[Path], Workbench]) -> None:
        self.path = path
        self.turn = threading.Lock()
        self._make = make

    @cached_property
    def bench(self) -> Workbench:
        """The workbench; made on first use."""
        return self._make(self.path)

    def keep(self, pool: MaskPool) -> None:
        """Remember the masks that a tool or an answer left."""
        self.bench = self.bench.with_pool(pool)


class Sessions:
    """The `capacity` images used last. Calls on one image take turns; calls on others do not wait for its encoding."""

    def __init__(
        self,
        segmenter: Segmenter,
        tracker: ObjectTracker | None = None,
        *,
        threshold: float | None = None,
        capacity: int = 4,
    ) -> None:
        self.segmenter = segmenter
        self.tracker = tracker
        self.threshold = threshold
        self.capacity = capacity
        self._open: OrderedDict[tuple[Path, int, int], OpenImage] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def image(self, path: Path) -> Iterator[OpenImage]:
        """The open image of a file; it is opened if it is not open yet or has changed since.

        Raises `InputError` if the file is neither image nor clip, `CheckpointError` if the weights cannot be loaded.
        """
        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"there is no file {path}") from error
        key = (path, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            opened = self._open.setdefault(key, OpenImage(path, self._bench))
            self._open.move_to_end(key)
            while len(self._open) > self.capacity:
                self._open.popitem(last=False)
        with opened.turn:
            try:
                _ = opened.bench
            except BaseException:
                with self._lock:
                    self._open.pop(key, None)
                raise
            yield opened

    def _bench(self, path: Path) -> Workbench:
        media = open_media(path)
        return Workbench(media, self.segmenter.open(media), threshold=self.threshold, tracker=self.tracker)
