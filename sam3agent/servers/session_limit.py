"""A limit on the sessions of HTTP clients: at the limit, the one that is idle longest is closed for a new one.

Clients that end without a word leave their session behind. The SDK closes it after some time, and refuses new ones
while there are too many, which would shut everybody out after a burst of such clients.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam3agent.servers.callers import SESSION_HEADER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


@dataclass
class _Session:
    """active: number of requests being answered, open streams among them. used: when the last one ended or came."""

    active: int = 0
    used: float = 0.0


class SessionLimit:
    """ASGI middleware over the SDK's application: knows its sessions by their header, and closes idle ones."""

    def __init__(self, app: "ASGIApp", *, most: int, idle_seconds: float) -> None:
        """most: number of sessions at once. idle_seconds: after so long, the SDK has closed a session itself."""
        self._app = app
        self._most = most
        self._idle_seconds = idle_seconds
        self._sessions = OrderedDict[str, _Session]()

    def __len__(self) -> int:
        """Number of sessions that may be open."""
        return len(self._sessions)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on; before one that opens a session, make room for it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _header(scope["headers"])
        if name is None:
            await self._make_room(scope)
        begun = self._begin(name) if name in self._sessions else None

        async def noting(message: "Message") -> None:
            nonlocal begun, name
            if message["type"] == "http.response.start":
                opened = _header(message.get("headers", ()))
                if name is None and opened is not None:
                    name = opened
                    begun = self._begin(opened)
                gone = message["status"] == 404 or (scope["method"] == "DELETE" and message["status"] < 300)
                if name is not None and gone:
                    self._sessions.pop(name, None)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if begun is not None:
                begun.active -= 1
                begun.used = time.monotonic()

    def _begin(self, name: str) -> _Session:
        """Note a request of a session."""
        session = self._sessions.setdefault(name, _Session())
        session.active += 1
        session.used = time.monotonic()
        self._sessions.move_to_end(name)
        return session

    async def _make_room(self, scope: "Scope") -> None:
        """Close the session that is idle longest if there are too many; none if all are busy, and the SDK refuses."""
        limit = time.monotonic() - self._idle_seconds
        for name in [name for name, one in self._sessions.items() if not one.active and one.used < limit]:
            del self._sessions[name]
        if len(self._sessions) < self._most:
            return
        idle = [(one.used, name) for name, one in self._sessions.items() if not one.active]
        if idle:
            _, name = min(idle)
            del self._sessions[name]
            await self._close(name, scope)

    async def _close(self, name: str, scope: "Scope") -> None:
        """End a session as its client would have."""
        log.info("a session is closed for a new one: it was idle longest of %d", self._most)
        ended = {**scope, "method": "DELETE", "headers": [(SESSION_HEADER.encode(), name.encode())]}

        async def nothing() -> "Message":
            return {"type": "http.request", "body": b"", "more_body": False}

        async def unheard(_message: "Message") -> None:
            return None

        await self._app(ended, nothing, unheard)


def _header(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The session that headers name."""
    wanted = SESSION_HEADER.encode()
    for name, value in headers:
        if name.lower() == wanted:
            return value.decode("latin-1")
    return None
