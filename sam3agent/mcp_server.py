"""The MCP server from Python: `build_server(settings, roots=[...])`. `sam3agent mcp` runs the same."""

from sam3agent.servers.server_tools import build_server

__all__ = ["build_server"]
