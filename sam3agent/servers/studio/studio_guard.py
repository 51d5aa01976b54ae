"""Who may talk to the studio: only pages that it served itself, under its own name, with its token."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sam3agent.servers.http_guard import is_bearer, is_same_token, is_too_large, origin_place
from sam3model.files import write_text

MAX_BODY = 4 << 20
"""Maximum size of a request in bytes: the longest is a painted stroke."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_NO_TOKEN = """<!doctype html><meta charset="utf-8"><title>sam3agent studio</title>
<h1>This address needs its token</h1>
<p>Open the address that <code>sam3agent studio</code> printed in the terminal: it ends in <code>?token=…</code></p>"""


def kept_token(folder: Path) -> str:
    """The token of an output folder, made on first use, so that an address stays valid over restarts.

    Raises `OutputError` if it cannot be written.
    """
    path = folder / "token"
    try:
        token = path.read_text("ascii").strip()
    except (OSError, ValueError):
        token = ""
    if len(token) < 32:
        token = secrets.token_urlsafe(32)
        write_text(path, token + "\n", private=True)
    path.chmod(0o600)  # also one that was copied
    return token


class StudioGuard:
    """ASGI middleware: checks Host, Origin, token and size of every request, and sets the headers of every reply."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], port: int, token: str | None) -> None:
        """hosts: names that the server may be called by. token: None to let everybody in who reaches the port."""
        self._app = app
        self._hosts = {f"{_bracketed(host)}:{port}" for host in hosts} | (
            {*map(_bracketed, hosts)} if port == 80 else set()
        )
        self._token = token
        self._cookie = f"sam3agent-studio-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (refused or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The reply to a request that is not passed on; None for one that is."""
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse("This server is not known by this name: use the address that it printed.", 403)
        origin = headers.get("origin")
        if origin is not None and origin_place(origin) not in self._hosts:
            return PlainTextResponse("Requests from other pages are refused.", 403)
        navigates = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") == "cross-site" and not navigates:
            return PlainTextResponse("Requests from other pages are refused.", 403)
        if "transfer-encoding" in headers:
            return PlainTextResponse("Send the length of the request: streams are not read.", 411)
        if is_too_large(headers.get("content-length", "0"), MAX_BODY):
            return PlainTextResponse("The request is too large.", 413)
        return None if self._token is None else self._without_token(scope, headers, self._token)

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        """A redirect that moves the token from the address into a cookie; a refusal without the token."""
        query = QueryParams(scope["query_string"])
        if scope["path"] == "/" and scope["method"] == "GET" and "token" in query:
            if not is_same_token(query["token"], token):
                return HTMLResponse(_NO_TOKEN, 403)
            rest = "&".join(name for name in query if name == "small")
            moved = RedirectResponse(f"/?{rest}" if rest else "/", 303)
            moved.set_cookie(self._cookie, token, httponly=True, samesite="strict", path="/")
            return moved
        cookie = _cookies(headers).get(self._cookie, "")
        if is_bearer(headers.get("authorization", ""), token) or is_same_token(cookie, token):
            return None
        return HTMLResponse(_NO_TOKEN, 403) if scope["path"] == "/" else PlainTextResponse("The token is missing.", 403)


def _cookies(headers: Headers) -> dict[str, str]:
    from starlette.requests import cookie_parser

    return cookie_parser(headers.get("cookie", ""))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()
