"""Arguments and flags that several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sam3model.files import expanded

ImagesAndQuestion = Annotated[
    list[str] | None,
    typer.Argument(
        help='Images, clips, folders, patterns or URLs, or "-" for standard input; then the question.',
        metavar="IMAGE... QUESTION",
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Argument(help='Images, folders, patterns or URLs, or "-" for standard input.', metavar="IMAGE..."),
]
Weights = Annotated[
    str | None, typer.Option(help="tiny (included), facebook/sam3, or a path to weights.", show_default="tiny")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.", show_default="auto")]
Dtype = Annotated[str | None, typer.Option(help="auto, float32, bfloat16, or int8 (processors).", show_default="auto")]
Threshold = Annotated[float | None, typer.Option(help="Minimum mask score, between 0 and 1.", show_default="0.5")]
Backend = Annotated[
    str | None,
    typer.Option(
        "--mllm",
        help="rules (no MLLM), openai (any compatible server) or vllm (in this process).",
        show_default="openai if --model or --base-url is given, else rules",
    ),
]
Model = Annotated[str | None, typer.Option(help="Name of the MLLM.")]
BaseUrl = Annotated[str | None, typer.Option(help="URL of the MLLM server, e.g. http://localhost:8000/v1.")]
ApiKey = Annotated[str | None, typer.Option(help="API key of the MLLM server; prefer the variable SAM3AGENT_API_KEY.")]


def folder_path(text: str) -> Path:
    """The value of --out. Raises `typer.BadParameter` if it is empty, which would be the working directory."""
    if not str(text).strip():
        raise typer.BadParameter("the folder has no name; write . for the working directory")
    return expanded(text)


Out = Annotated[
    Path | None,
    typer.Option(help="Output folder.", show_default="sam3agent-out/NAME-N", metavar="DIR", parser=folder_path),
]
AsClip = Annotated[
    bool, typer.Option("--clip", help="Take a folder as one clip: its images, in the order of their names, are frames.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per image on stdout, and nothing else.")]
AsOneJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Also write each mask as png (white on black) or cutout (the object on a clear background); repeatable.",
    ),
]
Temperature = Annotated[
    float | None, typer.Option(help="Temperature of the MLLM's replies.", show_default="that of its family")
]
MaxTokens = Annotated[int | None, typer.Option(help="Maximum tokens of a reply.", show_default="that of its family")]
ThinkingFlag = Annotated[
    Literal["auto", "on", "off"] | None,
    typer.Option(
        help="Whether the MLLM thinks first, if it can do both: on or off.", show_default="auto", metavar="MODE"
    ),
]
MaxCalls = Annotated[int | None, typer.Option(help="Maximum number of MLLM calls per question.", show_default="60")]
MaxSegmenterCalls = Annotated[int | None, typer.Option(help="Maximum number of phrases searched.", show_default="20")]
EffortFlag = Annotated[
    Literal["low", "medium", "high"] | None,
    typer.Option(
        help="How many close looks a question gets: low, medium or high.", show_default="medium", metavar="LEVEL"
    ),
]
WithoutFlag = Annotated[
    str | None,
    typer.Option(help="Parts of the policy of looks to switch off, to measure what they are worth.", metavar="PARTS"),
]
Eyesight = Annotated[
    str | None,
    typer.Option(
        help="How often the MLLM judges masks rightly, at a glance and closely, such as 0.7,0.85.", metavar="CHANCES"
    ),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(help="Maximum time of a question in seconds, with loading and encoding.", show_default="300"),
]
Timeout = Annotated[float | None, typer.Option(help="Maximum time of one MLLM call in seconds.", show_default="120")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more detail.")]


@dataclass(frozen=True, slots=True)
class Screen:
    """What a command prints and writes besides overlay and masks. clips: it reads folders as clips."""

    as_json: bool = False
    verbose: bool = False
    formats: tuple[str, ...] = ()
    clips: bool = False


def package_version() -> str:
    """The installed version of sam3agent, or "checkout"."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sam3agent")
    except PackageNotFoundError:
        return "checkout"


def given_settings(context: typer.Context) -> dict[str, Any]:
    """The flags of a command that are settings; None if not given."""
    from sam3agent.config import Settings

    return {name: value for name, value in context.params.items() if name in Settings.model_fields}
