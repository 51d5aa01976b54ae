"""`sam3agent studio`."""

import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam3agent.answer import make_folder
from sam3agent.cli.screen import configure_logging
from sam3agent.config import load_settings
from sam3agent.folder_lock import locked
from sam3agent.servers.studio.studio_server import StudioAddress, serve_studio
from sam3model.files import expanded

OUT = Path("sam3agent-out/studio")
"""Default folder for masks, questions and exports, below the working directory."""


def run_studio(
    paths: Sequence[Path],
    flags: Mapping[str, Any],
    address: StudioAddress,
    *,
    token: bool,
    browser: bool,
    verbose: bool,
) -> None:
    """Serve the page until interrupted; its address is printed when it can be opened."""
    from sam3agent.api import Agent

    configure_logging(verbose)
    settings = load_settings(flags)
    out = make_folder(expanded(settings.out or OUT).resolve())

    def ready(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        sys.stderr.write(f"Masks are kept in {out}. Stop with Ctrl+C.\n")
        if browser:
            webbrowser.open(url)

    with locked(out):
        serve_studio(Agent.from_settings(settings), paths or [Path.cwd()], out, address, with_token=token, ready=ready)
