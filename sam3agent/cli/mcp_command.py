"""The command line of `sam3agent mcp`."""

from pathlib import Path
from typing import Annotated

import typer

from sam3agent.cli.flags import (
    ApiKey,
    Backend,
    BaseUrl,
    Device,
    Dtype,
    EffortFlag,
    MaxCalls,
    MaxSeconds,
    MaxSegmenterCalls,
    Model,
    Threshold,
    Timeout,
    Verbose,
    Weights,
    WithoutFlag,
    folder_path,
    given_settings,
)

ServerOut = Annotated[
    Path | None,
    typer.Option(help="Output folder.", show_default="sam3agent-out", metavar="DIR", parser=folder_path),
]
Root = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="Folder that images may be read from; repeatable.",
        show_default="the working directory",
    ),
]
Http = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Serve over HTTP at this address, path /mcp.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="SAM3AGENT_TOKEN",
        show_envvar=False,
        help="With --http: what clients must send as `Authorization: Bearer TOKEN`; prefer the variable "
        "SAM3AGENT_TOKEN. Required if other machines can reach the address.",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="With --http: another name by which clients may call it; repeatable."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="With --http: a web page that may use it, e.g. https://a.org; repeatable."),
]
HostProfile = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="How replies are written: full, content, small or words.",
        show_default="what fits the client",
    ),
]
OutLimit = Annotated[
    float | None, typer.Option(metavar="GB", help="Maximum size of the output folder.", show_default="10")
]


def mcp(
    context: typer.Context,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: ServerOut = None,
    threshold: Threshold = None,
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    effort: EffortFlag = None,
    without: WithoutFlag = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    root: Root = None,
    http: Http = None,
    token: Token = None,
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
    host_profile: HostProfile = None,
    out_limit: OutLimit = None,
    verbose: Verbose = False,
) -> None:
    """Serve the tools over MCP: standard input and output, or HTTP."""
    from sam3agent.cli.mcp import McpFlags, run_mcp

    hosts, origins = tuple(allow_host or ()), tuple(allow_origin or ())
    flags = McpFlags(tuple(root or ()), http, token, hosts, origins, host_profile, out_limit, verbose)
    run_mcp(given_settings(context), flags)
