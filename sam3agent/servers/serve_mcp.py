"""Start the MCP server: what is wrong is found before a client connects, and the process ends when it should."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sam3agent.config import Settings
from sam3agent.servers.http_guard import HttpAccess
from sam3agent.servers.server_life import run_until_stopped
from sam3agent.servers.server_memory import share_memory
from sam3model.errors import InputError
from sam3model.files import expanded

OUT_GIGABYTES = 10.0
"""Default maximum size of the output folder."""


@dataclass(frozen=True, slots=True)
class McpService:
    """What is served, and how.

    roots: folders that may be read. http: who may use it over HTTP, at `port`; None for standard input and output.
    host_profile: the reply profile for every client. out_gigabytes: maximum size of the output folder.
    """

    roots: tuple[Path, ...] = ()
    http: HttpAccess | None = None
    port: int = 0
    host_profile: str | None = None
    out_gigabytes: float = OUT_GIGABYTES


def serve(settings: Settings, service: McpService, announce: Callable[[str], None]) -> None:
    """Serve until the client is gone or the process is told to stop, and leave the process.

    announce: receives a line that says what is served and where.

    Raises `InputError` if a root, the profile or the address cannot be used, `CheckpointError` if there are no weights.
    """
    from sam3agent.servers.server_tools import OUT, build_server

    share_memory()
    check_weights(settings.weights)
    server = build_server(
        settings,
        roots=service.roots,
        host_profile=service.host_profile,
        out_limit=int(service.out_gigabytes * 1e9),
    )
    roots = ", ".join(str(expanded(root).resolve()) for root in service.roots or (Path.cwd(),))
    about = f"weights {settings.weights}, backend {settings.backend}; files from {roots}; results in "
    about += str(expanded(settings.out or OUT).resolve())
    if service.http is None:
        announce(f"MCP server on standard input and output, for a client to start ({about})")
        run_until_stopped(server.run_stdio_async)
        return
    from sam3agent.servers.mcp_http import PATH, bound_socket, serve_http

    listening = bound_socket(service.http.host, service.port)
    host = f"[{service.http.host}]" if ":" in service.http.host else service.http.host
    secured = "with a token" if service.http.token else "without a token: every program of this machine may use it"
    announce(f"MCP server at http://{host}:{listening.getsockname()[1]}{PATH}, {secured} ({about})")
    run_until_stopped(partial(serve_http, server, service.http, listening))


def check_weights(name: str) -> None:
    """Raise `CheckpointError` if weights cannot exist. Those of the hub are looked up when they are first used."""
    with suppress(OSError, ValueError):
        if name == "tiny" or expanded(name).exists():
            return
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not Path(name).suffix[1:2].isalpha():
        return
    from sam3model.checkpoint.hub import find_weights

    find_weights(name, download=False)


def read_address(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT". Raises `InputError` if it is anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise InputError(f"{text!r} is not an address: write HOST:PORT, e.g. 127.0.0.1:8001")
    return host.strip("[]"), int(port)
