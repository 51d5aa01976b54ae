"""What a view works on: one image or clip that the server has open, and the news of what happens to it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sam3agent.media import Media
from sam3agent.segmenter import SegmenterSession
from sam3agent.servers.open_images import OpenImage
from sam3agent.servers.studio.studio_library import StudioItem
from sam3model.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class EncodedItem:
    """The item of a view with its encoded frames."""

    item: StudioItem
    media: Media
    session: SegmenterSession
    turn: threading.RLock


class ViewShelf:
    """The one item of a view. It holds the encoded frames during calls only; the server keeps those used last."""

    def __init__(self, item: StudioItem) -> None:
        self._item = item
        self._turn = threading.RLock()
        self._opened: EncodedItem | None = None
        self._users = 0

    @contextmanager
    def holding(self, opened: OpenImage) -> Iterator[None]:
        """Lay the item open for a call."""
        self._opened = EncodedItem(self._item, opened.media, opened.session, self._turn)
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._opened = None

    @property
    def title(self) -> str:
        """The name of the item."""
        return self._item.name

    def items(self) -> list[StudioItem]:
        """The item."""
        return [self._item]

    def item(self, item_id: str) -> StudioItem:
        """The item. Raises `InputError` for any other."""
        if item_id != self._item.id:
            raise InputError("this view shows another image")
        return self._item

    def take(self, item: StudioItem) -> EncodedItem:
        """The open item. Raises `InputError` outside a call."""
        if self._opened is None or item.id != self._item.id:
            raise InputError("this image is not open")
        return self._opened


class LatestNews:
    """Keeps the latest news of each kind, for a page that asks for it."""

    def __init__(self) -> None:
        self.latest: dict[str, dict[str, Any]] = {}
        self.listener: Callable[[dict[str, Any]], None] | None = None

    def publish(self, kind: str, **data: Any) -> None:
        """Take news, and tell the listener. May be called from any thread."""
        news = self.latest[kind] = {"kind": kind, **data}
        if self.listener:
            self.listener(news)
