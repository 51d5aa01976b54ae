"""`sam3agent mcp`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam3agent.cli.screen import configure_logging
from sam3agent.config import load_settings
from sam3model.errors import InputError


def run_mcp(flags: Mapping[str, Any], roots: Sequence[Path], http: str | None, *, verbose: bool) -> None:
    """Serve until the client disconnects, or over HTTP until interrupted; `http` is HOST:PORT."""
    from sam3agent.servers.mcp_server import serve

    configure_logging(verbose)
    settings = load_settings(flags)
    if http is None:
        serve(settings, roots=roots)
    else:
        host, port = _address(http)
        serve(settings, roots=roots, transport="streamable-http", host=host, port=port)


def _address(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT". Raises `InputError` if it is anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InputError(f"{text!r} is not an address: write HOST:PORT, e.g. 127.0.0.1:8001")
    return host.strip("[]"), int(port)
