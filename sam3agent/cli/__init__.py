"""The command line: `sam3agent ask`, `segment`, `replay`, `doctor`, `mcp`, `weights`; importing it is cheap."""

from sam3agent.cli.app import main

__all__ = ["main"]
