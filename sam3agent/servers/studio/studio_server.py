"""Starting the studio: desks over an agent, the guard in front, and uvicorn on a free port."""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sam3agent.api import Agent
from sam3agent.servers.http_guard import LOOPBACK, is_loopback
from sam3agent.servers.server_memory import share_memory
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_events import EventHub
from sam3agent.servers.studio.studio_following import FollowDesk
from sam3agent.servers.studio.studio_library import StudioLibrary
from sam3agent.servers.studio.studio_media import in_background
from sam3agent.servers.studio.studio_questions import QuestionDesk
from sam3agent.servers.studio.studio_sheet import Sheet
from sam3agent.servers.studio.studio_store import StudioStore
from sam3model.errors import InputError, Sam3Error

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from sam3agent.servers.studio.studio_app import StudioDesks

log = logging.getLogger(__name__)

PORT = 8400
"""The first port that is tried if none is named."""

TRIED_PORTS = 20


@dataclass(frozen=True, slots=True)
class StudioAddress:
    """Where the studio listens. port: None for the first free one from 8400. hosts: further names it is called by."""

    host: str = "127.0.0.1"
    port: int | None = None
    hosts: tuple[str, ...] = ()


def open_desks(agent: Agent, paths: Sequence[Path], out: Path) -> "StudioDesks":
    """The parts of a studio over files and folders, with its store in `out`.

    Raises `InputError` if a path does not exist, `OutputError` if `out` cannot be written.
    """
    from sam3agent.servers.studio.studio_app import StudioDesks

    library = StudioLibrary(paths)
    hub = EventHub()
    store = StudioStore(out / "studio.sqlite")

    def changed(sheet: Sheet) -> None:
        news = {"version": sheet.version, "accepted": sheet.accepted, "count": len(sheet.kept)}
        hub.publish("sheet", item=sheet.item, **news)

    engine = StudioEngine(library, store, agent, changed)
    return StudioDesks(engine, QuestionDesk(engine, hub, out), FollowDesk(engine, hub), hub, out / "exports")


def guarded_app(desks: "StudioDesks", address: StudioAddress, port: int, token: str | None) -> "ASGIApp":
    """The application behind its guard."""
    from sam3agent.servers.studio.studio_app import build_app
    from sam3agent.servers.studio.studio_guard import StudioGuard

    return StudioGuard(build_app(desks), hosts=(*LOOPBACK, address.host, *address.hosts), port=port, token=token)


def serve_studio(
    agent: Agent,
    paths: Sequence[Path],
    out: Path,
    address: StudioAddress,
    *,
    with_token: bool = True,
    ready: Callable[[str], None],
) -> None:
    """Serve until interrupted. `ready` receives the address of the page, with its token.

    Raises `InputError` if starlette or uvicorn are missing, a path does not exist, or the port is taken.
    """
    try:
        import sse_starlette  # noqa: F401
        import uvicorn

        from sam3agent.servers.studio.studio_guard import kept_token
    except ImportError as error:
        raise InputError(f"the studio needs {error.name}: pip install 'sam3agent[studio]'") from error
    if not with_token and not is_loopback(address.host):
        raise InputError(f"--no-token is for this machine only: remove --host {address.host}, or keep the token")
    share_memory()
    desks = open_desks(agent, paths, out)
    token = kept_token(out) if with_token else None
    with listening_socket(address) as listener:
        port = listener.getsockname()[1]
        name = "127.0.0.1" if address.host in ("0.0.0.0", "::") else address.host
        host = f"[{name}]" if ":" in name else name
        app = guarded_app(desks, address, port, token)
        in_background(lambda: _warm(desks.engine))
        ready(f"http://{host}:{port}/" + (f"?token={token}" if token else ""))
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def _warm(engine: StudioEngine) -> None:
    """Load the weights and encode the first item while the page opens."""
    try:
        items = engine.library.items()
    except Sam3Error:
        return
    if items:
        engine.warm(items[0].id)


def listening_socket(address: StudioAddress) -> socket.socket:
    """A listening socket. Raises `InputError` if the port is taken, or the host has no such address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    reason = None
    ports = [address.port] if address.port is not None else [*range(PORT, PORT + TRIED_PORTS), 0]
    for port in ports:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror
        else:
            return listener
    raise InputError(f"cannot listen on {address.host}:{ports[0]}: {reason}; choose another --port")
