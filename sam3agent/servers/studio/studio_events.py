"""News for every open page: sheets that changed, steps of questions, progress of following."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

BACKLOG = 1000
"""News that a page may be behind; a page that is further behind is told to load everything again."""


class NewsDesk(Protocol):
    """Who is told what happens."""

    def publish(self, kind: str, **data: Any) -> None:
        """Take news. May be called from any thread."""
        ...


class EventHub:
    """Passes news from any thread to the pages that listen. Nothing is kept: a new page asks for the state."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[str], asyncio.AbstractEventLoop] = {}

    def publish(self, kind: str, **data: Any) -> None:
        """Tell every page. May be called from any thread."""
        text = json.dumps({"kind": kind, **data}, ensure_ascii=False)
        for queue, loop in list(self._listeners.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, text)

    async def listen(self) -> AsyncIterator[str]:
        """The news from now on, each a JSON object with its `kind`."""
        queue: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield json.dumps({"kind": "hello"})
            while True:
                yield await queue.get()
        finally:
            self._listeners.pop(queue, None)


def _put(queue: asyncio.Queue[str], text: str) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        text = json.dumps({"kind": "hello"})
    queue.put_nowait(text)
