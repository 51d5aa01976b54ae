"""The command line. Each command is one module, imported when it runs, so that `sam3agent --help` is fast."""

from sam3agent.cli.app import main

__all__ = ["main"]
