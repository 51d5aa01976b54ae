"""The commands, and what happens when one fails: one line on stderr and an exit code, never a traceback.

Exit codes: 0 ran to an end, 2 bad input or settings, 1 a failure (weights, MLLM server, …), 130 interrupted.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sam3model.errors import CheckpointError, ConfigError, InputError, Sam3Error

app = typer.Typer(
    name="sam3agent",
    help="Ask a picture a question in plain words and get masks back, with the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Image = Annotated[str, typer.Argument(help='A picture file, or "-" for standard input.', metavar="IMAGE")]
Weights = Annotated[
    str | None, typer.Option(help="tiny (shipped), facebook/sam3, or a path to weights.", show_default="tiny")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.", show_default="auto")]
Dtype = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.", show_default="auto")]
Threshold = Annotated[float | None, typer.Option(help="Least score of a mask, 0..1.", show_default="0.5")]
Backend = Annotated[
    str | None,
    typer.Option(
        "--mllm",
        help="rules (no MLLM), openai (any compatible server) or vllm (in this process).",
        show_default="openai where --model or --base-url is set, else rules",
    ),
]
Model = Annotated[str | None, typer.Option(help="Name of the MLLM.")]
BaseUrl = Annotated[str | None, typer.Option(help="Address of the server, e.g. http://localhost:8000/v1.")]
ApiKey = Annotated[str | None, typer.Option(help="Its key; better set SAM3AGENT_API_KEY.")]
Out = Annotated[
    Path | None, typer.Option(help="Folder for the results.", show_default="sam3agent-out/NAME-N", file_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is going on.")]


@app.command()
def ask(
    context: typer.Context,
    image: Image,
    query: Annotated[str, typer.Argument(help='The question, e.g. "leftmost player in white".', metavar="QUERY")],
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: Out = None,
    as_json: AsJson = False,
    threshold: Threshold = None,
    max_calls: Annotated[int | None, typer.Option(help="Most MLLM calls.", show_default="60")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Most seconds.", show_default="300")] = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Answer a question about a picture with masks."""
    from sam3agent.cli.asking import run_ask

    run_ask(image, query, _settings(context), as_json=as_json, verbose=verbose)


@app.command()
def segment(
    context: typer.Context,
    image: Image,
    phrase: Annotated[list[str] | None, typer.Option(help="A short noun phrase; may be repeated.")] = None,
    box: Annotated[list[str] | None, typer.Option(help="x0,y0,x1,y1 in pixels, around an example.")] = None,
    negative_box: Annotated[list[str] | None, typer.Option(help="x0,y0,x1,y1 around a counter-example.")] = None,
    point: Annotated[list[str] | None, typer.Option(help="x,y in pixels, on the thing.")] = None,
    negative_point: Annotated[list[str] | None, typer.Option(help="x,y in pixels, off the thing.")] = None,
    weights: Weights = None,
    out: Out = None,
    as_json: AsJson = False,
    threshold: Threshold = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Segment by phrase, boxes or points, without the agent."""
    from sam3agent.cli.segmenting import Marks, run_segment

    marks = Marks(tuple(box or ()), tuple(negative_box or ()), tuple(point or ()), tuple(negative_point or ()))
    run_segment(image, tuple(phrase or ()), marks, _settings(context), as_json=as_json, verbose=verbose)


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="A trace.jsonl, or the folder that holds it.")],
    rerun: Annotated[bool, typer.Option(help="Run the state machine again on the recorded replies.")] = False,
    out: Out = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show the steps of a recorded question and draw its answer again, without any model."""
    from sam3agent.cli.replaying import run_replay

    run_replay(trace, rerun=rerun, out=out, as_json=as_json, verbose=verbose)


@app.command()
def doctor(
    context: typer.Context,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    device: Device = None,
    dtype: Dtype = None,
    as_json: AsJson = False,
) -> None:
    """Say whether everything is in place: versions, device, weights, MLLM server."""
    from sam3agent.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(_settings(context), as_json=as_json))


@app.command()
def mcp(
    context: typer.Context,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="sam3agent-out", file_okay=False)
    ] = None,
    threshold: Threshold = None,
    device: Device = None,
    dtype: Dtype = None,
    root: Annotated[list[Path] | None, typer.Option(help="Folder that pictures may be read from; repeatable.")] = None,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve over HTTP there, at /mcp, instead of stdin and stdout."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Serve the tools over MCP, on standard input and output or over HTTP."""
    from sam3agent.cli.serving import run_mcp

    run_mcp(_settings(context), tuple(root or ()), http, verbose=verbose)


weights_app = typer.Typer(help="Look at weights files and convert them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(weights_app, name="weights")


@weights_app.command("info")
def weights_info(
    name: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.")], as_json: AsJson = False
) -> None:
    """Say what a weights file holds."""
    from sam3agent.cli.weights import run_info

    run_info(name, as_json=as_json)


@weights_app.command("convert")
def weights_convert(
    source: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.")],
    target: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    layout: Annotated[str, typer.Option(help="native, official or transformers.")] = "native",
) -> None:
    """Write weights in another layout."""
    from sam3agent.cli.weights import run_convert

    run_convert(source, target, layout)


def _settings(context: typer.Context) -> dict[str, Any]:
    """The flags of a command that are settings, which all commands call by one name; None where not given."""
    from sam3agent.config import Settings

    return {name: value for name, value in context.params.items() if name in Settings.model_fields}


def configure_logging(verbose: bool) -> None:
    """Log to stderr: warnings, or everything with --verbose."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command, and turn failures into one line and an exit code."""
    sys.exit(guarded(lambda: app(args=arguments, prog_name="sam3agent", standalone_mode=False)))


def guarded(run: Callable[[], Any]) -> int:
    """The exit code of a command."""
    try:
        result = run()
    except (InputError, ConfigError, CheckpointError) as error:
        return _fail(error, 2)
    except Sam3Error as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        return 1
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(f"{error}\n")
            return 2
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            return _fail(error.format_message(), 2)  # pyright: ignore[reportAttributeAccessIssue]
        if type(error).__name__ == "Abort":
            return _fail("interrupted", 130)
        logging.getLogger(__name__).info("details", exc_info=True)
        return _fail(f"{type(error).__name__}: {error} (run with --verbose for details)", 1)
    return result if isinstance(result, int) else 0


def _fail(message: object, code: int) -> int:
    sys.stderr.write(f"sam3agent: {' '.join(str(message).split())}\n")
    return code
