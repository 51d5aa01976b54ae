"""Open images and clips: those used last, with their encoded frames, and their pixels as files for a page."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from sam3agent.media import Media, open_media
from sam3agent.segmenter import Segmenter, SegmenterSession
from sam3agent.servers.server_memory import return_memory
from sam3agent.servers.studio.studio_library import StudioItem

CAPACITY = 4
"""Number of media kept open: the one in view, its neighbours, and one that a question works on."""

PAGE_SIDE = 4096
"""Maximum side in pixels of an image sent to the page; masks and clicks keep the size of the file."""


class OpenItem(Protocol):
    """An open image or clip. `turn` is held while its sheet is read and changed."""

    @property
    def item(self) -> StudioItem:
        """What is open."""
        ...

    @property
    def turn(self) -> threading.RLock:
        """Held by whoever reads and changes the sheet."""
        ...

    @property
    def media(self) -> Media:
        """The frames. Raises `InputError` if the file cannot be read."""
        ...

    @property
    def session(self) -> SegmenterSession:
        """The encoded medium. Raises `CheckpointError` without weights."""
        ...


class Shelf(Protocol):
    """Where open media are."""

    def take(self, item: StudioItem) -> OpenItem:
        """The open medium of an item."""
        ...


class OpenMedia:
    """An image or clip that is opened and encoded when it is first needed."""

    def __init__(self, item: StudioItem, segmenter: Segmenter) -> None:
        self.item = item
        self.turn = threading.RLock()
        self._segmenter = segmenter
        self._opening = threading.Lock()

    @property
    def media(self) -> Media:
        """The frames. Raises `InputError` if the file cannot be read."""
        return self._media

    @cached_property
    def _media(self) -> Media:
        return open_media(self.item.path, self.item.name)

    @property
    def session(self) -> SegmenterSession:
        """The encoded medium; encoded when first asked for. Raises `CheckpointError` without weights."""
        with self._opening:
            return self._session

    @cached_property
    def _session(self) -> SegmenterSession:
        return self._segmenter.open(self.media)


class MediaShelf:
    """The media used last. Safe to use from any thread; opening one does not block the others."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._open: OrderedDict[tuple[str, int, int], OpenMedia] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, item: StudioItem) -> OpenMedia:
        """The open medium of an item; opened anew if its file has changed."""
        try:
            stat = item.path.stat()
            key = (item.id, stat.st_mtime_ns, stat.st_size)
        except OSError:
            key = (item.id, 0, 0)  # opening it says what is wrong
        with self._lock:
            opened = self._open.setdefault(key, OpenMedia(item, self._segmenter))
            self._open.move_to_end(key)
            closed = [self._open.popitem(last=False) for _ in range(len(self._open) - CAPACITY)]
        if closed:
            closed.clear()
            return_memory()
        return opened


def page_image(media: Media, frame: int, side: int = PAGE_SIDE) -> bytes:
    """A frame as JPEG, at most `side` pixels on its longest side."""
    from sam3agent.render.zoom import fitted_size

    image = media.frame(frame)
    size = fitted_size(image.size, side)
    image = image if size == image.size else image.resize(size, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=92 if side > 512 else 82)
    return buffer.getvalue()


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Start work that nobody waits for, on a thread that ends with the process."""
    thread = threading.Thread(target=work, name="studio-work", daemon=True)
    thread.start()
    return thread
