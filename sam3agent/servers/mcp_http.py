"""The MCP server over HTTP: the SDK's application behind our guard, on a port that is taken before anything starts."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sam3agent.servers.http_guard import MAX_BODY, HttpAccess, HttpGuard
from sam3agent.servers.session_limit import SessionLimit
from sam3model.errors import InputError

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.types import ASGIApp

PATH = "/mcp"

IDLE_SECONDS = 15 * 60.0
"""A session without requests for so long is closed, with all that it holds."""

MAX_SESSIONS = 1000
"""Number of sessions at once; for a new one, the one that is idle longest is closed."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `InputError` if the port is taken or the host is not one of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(512)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {host}:{port}: {reason}; choose another with --http") from error
    return listening


def http_app(server: "MCPServer", access: HttpAccess) -> "ASGIApp":
    """The ASGI application of a server: checks first, then the SDK, with pages of allowed origins let in."""
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.middleware.cors import CORSMiddleware

    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=MAX_BODY,
        session_idle_timeout=IDLE_SECONDS,
        max_sessions=MAX_SESSIONS,  # reached only if none of them is idle
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard does it
    )
    app = SessionLimit(app, most=MAX_SESSIONS, idle_seconds=IDLE_SECONDS)
    if access.origins:
        app = CORSMiddleware(
            app,
            allow_origins=access.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Mcp-Session-Id"],
        )
    return HttpGuard(app, access)


async def serve_http(server: "MCPServer", access: HttpAccess, listening: socket.socket) -> None:
    """Serve until cancelled."""
    import uvicorn

    class OwnSignals(uvicorn.Server):
        """Leaves signals to `server_life`, which does not wait for clients to hang up."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Capture none."""
            yield

    config = uvicorn.Config(http_app(server, access), log_level="warning", server_header=False, timeout_keep_alive=30)
    await OwnSignals(config).serve(sockets=[listening])
