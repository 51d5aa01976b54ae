"""The MCP server: the agent and its tools for any client of the Model Context Protocol."""

import inspect
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from sam3agent.api import Agent
from sam3agent.config import Settings
from sam3agent.prompts import render
from sam3agent.servers.confined_files import Roots
from sam3agent.servers.mcp_tools import McpTools
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.tool_desk import ToolDesk
from sam3agent.tools.registry import all_tools
from sam3model.errors import InputError
from sam3model.files import expanded

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.extension import Extension

OUT = Path("sam3agent-out")
"""Default output folder, below the working directory."""

OUT_LIMIT = 10_000_000_000
"""Default maximum size of the output folder in bytes."""


def build_server(
    settings: Settings,
    *,
    roots: Sequence[str | Path] = (),
    agent: Agent | None = None,
    host_profile: str | None = None,
    out_limit: int = OUT_LIMIT,
    extensions: "Sequence[Extension]" = (),
) -> "MCPServer":
    """An MCP server over the agent of the settings, or over the given one.

    roots: folders that may be read, by default the working directory; the output folder is always included.
    host_profile: the reply profile to use for every client; None to choose it by the client. out_limit: maximum number
    of bytes in the output folder. extensions: of the protocol, besides MCP Apps (hosts show the masks) and tasks.

    Raises `InputError` if a root is not a folder, or there is no such profile.
    """
    from mcp.types import ToolAnnotations

    from sam3agent.servers.job_tasks import JobTasks
    from sam3agent.servers.mcp_prompts import add_prompts
    from sam3agent.servers.reply_profiles import ClientTraits, choose_profile
    from sam3agent.servers.result_server import ResultServer
    from sam3agent.servers.views.view_desk import ViewDesk
    from sam3agent.servers.views.view_tools import PAGE_META, VIEWED, MaskApps

    choose_profile(ClientTraits(), host_profile)
    agent = agent or Agent.from_settings(settings)
    for root in roots:
        if not expanded(root).is_dir():
            raise InputError(f"--root {root} is not a folder")
    out = expanded(settings.out or OUT).resolve()
    results = ResultFolder(out, out_limit)
    desk = ToolDesk(agent, Roots([*(roots or (Path.cwd(),)), out]), results)
    tools = McpTools(desk, host_profile)
    server = ResultServer(
        results,
        host_profile,
        instructions=render("mcp_server"),
        version=package_version(),
        extensions=[JobTasks(tools), MaskApps(ViewDesk(desk)), *extensions],
    )
    add = partial(server.add_tool, annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
    ask, *job_tools = tools.ask(), tools.job_status(), tools.job_result(), tools.cancel_job()
    add(ask, description=inspect.getdoc(ask), meta=dict(PAGE_META))
    for tool in all_tools().values():
        if tool.served:
            meta = dict(PAGE_META) if tool.name in VIEWED else None
            add(tools.served(tool), description=tool.description, meta=meta)
    for job_tool in job_tools:
        add(job_tool, description=inspect.getdoc(job_tool))
    add_prompts(server)
    return server


def package_version() -> str:
    """The installed version of sam3agent, or "checkout"."""
    try:
        return version("sam3agent")
    except PackageNotFoundError:
        return "checkout"
