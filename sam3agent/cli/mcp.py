"""`sam3agent mcp`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.cli.screen import configure_logging
from sam3agent.config import load_settings
from sam3model.errors import InputError
from sam3model.printable import one_line


@dataclass(frozen=True, slots=True)
class McpFlags:
    """The flags of the command that are not settings."""

    roots: tuple[Path, ...] = ()
    http: str | None = None
    token: str | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    host_profile: str | None = None
    out_limit: float | None = None
    verbose: bool = False


def run_mcp(settings: Mapping[str, Any], flags: McpFlags) -> None:
    """Serve until the client is gone or the process is told to stop, and leave the process.

    Raises `InputError` if a flag cannot be used.
    """
    from sam3agent.servers.http_guard import HttpAccess, listed_names
    from sam3agent.servers.serve_mcp import OUT_GIGABYTES, McpService, read_address, serve

    configure_logging(flags.verbose)
    hosts, origins = listed_names(flags.allow_hosts), listed_names(flags.allow_origins)
    access, port = None, 0
    if flags.http is not None:
        host, port = read_address(flags.http)
        access = HttpAccess(host, hosts, origins, flags.token or None)
    elif hosts or origins:
        raise InputError("--allow-host and --allow-origin are for --http only")
    limit = OUT_GIGABYTES if flags.out_limit is None else flags.out_limit
    if not limit > 0:
        raise InputError("--out-limit must be a number of gigabytes above 0")
    service = McpService(flags.roots, access, port, flags.host_profile, limit)
    serve(load_settings(settings), service, _announce)


def _announce(line: str) -> None:
    """To standard error: over standard output go only messages of the protocol."""
    sys.stderr.write(f"sam3agent: {one_line(line)}\n")
    sys.stderr.flush()
