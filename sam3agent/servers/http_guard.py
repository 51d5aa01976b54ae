"""Who may talk to a server over HTTP: Host, Origin, token and size of a request are checked before it is read."""

import asyncio
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sam3agent.config import TOKEN_VARIABLE
from sam3agent.servers.callers import CLIENT_COOKIE, GONE, SESSION_HEADER
from sam3model.errors import InputError
from sam3model.untrusted import clean_line

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")

MAX_BODY = 16 * 1024 * 1024
"""Maximum size of a request in bytes; a pasted image may have about 12 MB."""


@dataclass(frozen=True, slots=True)
class HttpAccess:
    """Who may use a server.

    host: the address that it listens on. hosts, origins: names allowed besides this machine's own. token: what clients
    must send as `Authorization: Bearer …`; None for nothing.
    """

    host: str
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    token: str | None = None

    def __post_init__(self) -> None:
        """Raises `InputError` if other machines could use the server without a token."""
        if self.token is not None and (not self.token.strip() or not self.token.isascii()):
            raise InputError(
                "the token is empty or not ASCII: give a long random one, e.g. from `openssl rand -hex 16`"
            )
        if not self.token and not is_loopback(self.host):
            raise InputError(
                f"{self.host} can be reached from other machines: set a token with --token or {TOKEN_VARIABLE}, or "
                "listen on 127.0.0.1"
            )

    def allows_host(self, header: str) -> bool:
        """Whether a Host header names this server. A web page on another name (DNS rebinding) does not."""
        name = host_name(header)
        return name is not None and name in {*LOOPBACK, host_name(self.host), *map(host_name, self.hosts)}

    def allows_origin(self, header: str) -> bool:
        """Whether the page that sends a request may do so: one of this machine, or one that was allowed."""
        if header in self.origins:
            return True
        return host_name(origin_place(header)) in LOOPBACK

    def allows_token(self, header: str) -> bool:
        """Whether an Authorization header has the token."""
        return self.token is None or is_bearer(header, self.token)


def is_same_token(given: str, token: str) -> bool:
    """Whether two tokens are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode(), token.encode())


def is_bearer(header: str, token: str) -> bool:
    """Whether an Authorization header has a token."""
    kind, _, given = header.partition(" ")
    return kind.lower() == "bearer" and is_same_token(given.strip(), token)


def is_too_large(length: str, most: int) -> bool:
    """Whether a Content-Length header is above `most` bytes, or no number."""
    return not length.isascii() or not length.isdigit() or len(length) > 12 or int(length) > most


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def origin_place(header: str) -> str:
    """Host and port of an Origin header in lower case; empty if it is that of no web page, such as "null"."""
    try:
        parts = urlsplit(header)
    except ValueError:  # a bracket that is not closed
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def host_name(header: str) -> str | None:
    """The host of "host:port" in lower case, without brackets; None if it cannot be one."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0] or None
    if header.count(":") > 1:
        return header
    return header.partition(":")[0].rstrip(".") or None


class HttpGuard:
    """ASGI application in front of another: refuses what is not allowed, with a sentence, and marks who asks."""

    def __init__(self, app: "ASGIApp", access: HttpAccess) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _drain(receive)
            await _refuse(send, *refusal)
            return
        gone = scope[GONE] = asyncio.Event()

        async def watched() -> "Message":
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
            return message

        await self._app(scope, watched, send if _is_known(headers) else _with_cookie(send))

    def _refusal(self, scope: "Scope", headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and sentence for a request that is not allowed."""
        host, origin = headers.get("host", ""), headers.get("origin", "")
        if sum(name == b"host" for name, _ in scope["headers"]) != 1 or not self._access.allows_host(host):
            return 421, f"the host {_quoted(host)} is not allowed: start the server with --allow-host NAME to allow it"
        if origin and not self._access.allows_origin(origin):
            return 403, f"the origin {_quoted(origin)} is not allowed: start the server with --allow-origin to allow it"
        if not self._access.allows_token(headers.get("authorization", "")) and scope["method"] != "OPTIONS":
            return 401, "the token is missing or wrong: send the header `Authorization: Bearer TOKEN`"
        if is_too_large(headers.get("content-length", "0"), MAX_BODY):
            return 413, f"the request is larger than {MAX_BODY // 2**20} MiB: give the path of an image instead"
        return None


def _is_known(headers: dict[str, str]) -> bool:
    """Whether a client can be told apart already: by its session, or by our cookie."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return False
    return SESSION_HEADER in headers or CLIENT_COOKIE in cookies


def _with_cookie(send: "Send") -> "Send":
    """Gives the client a name of its own, which it sends back if it keeps cookies."""
    cookie = f"{CLIENT_COOKIE}={secrets.token_hex(12)}; Path=/; HttpOnly; SameSite=Strict"

    async def marked(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", cookie.encode())]}
        await send(message)

    return marked


async def _drain(receive: "Receive") -> None:
    """Read the body of a refused request and forget it: a client that still sends would not see the reply."""
    left = 4 * MAX_BODY
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return


async def _refuse(send: "Send", status: int, sentence: str) -> None:
    body = (sentence + "\n").encode("utf-8", "replace")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(b"www-authenticate", b"Bearer")] if status == 401 else [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _quoted(text: str) -> str:
    return repr(clean_line(text, 80))


def listed_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that were given one by one or separated by commas."""
    return tuple(part.strip() for name in names for part in name.split(",") if part.strip())
