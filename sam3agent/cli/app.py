"""The commands, and how failures are reported: one line on stderr and an exit code, never a traceback.

Exit codes: 0 finished, 1 failed (MLLM server, …), 2 invalid input, settings or weights, 130 interrupted.
"""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sam3agent.cli import command_start, segment_options  # noqa: F401 (notes the time)
from sam3agent.cli.flags import (
    ApiKey,
    AsJson,
    Backend,
    BaseUrl,
    Device,
    Dtype,
    Image,
    MaxCalls,
    MaxSeconds,
    MaxSegmenterCalls,
    Model,
    Out,
    Threshold,
    Timeout,
    Verbose,
    Weights,
    given_settings,
)
from sam3agent.cli.grouped_help import GroupedCommand
from sam3agent.cli.track_command import track
from sam3model.errors import CheckpointError, ConfigError, InputError, Sam3Error
from sam3model.printable import one_line, prepare_streams

app = typer.Typer(
    name="sam3agent",
    help="Ask a question about an image in plain words and get masks back, with the evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Answer a question about an image with masks."""
    from sam3agent.cli.ask import run_ask

    raise typer.Exit(run_ask(image, query, given_settings(context), as_json=as_json, verbose=verbose))


@app.command(cls=GroupedCommand)
def segment(
    context: typer.Context,
    image: Image,
    phrase: segment_options.Phrases = None,
    box: segment_options.Boxes = None,
    negative_box: segment_options.NegativeBoxes = None,
    point: segment_options.Points = None,
    negative_point: segment_options.NegativePoints = None,
    click: segment_options.Clicks = None,
    click_out: segment_options.ClicksOut = None,
    object_box: segment_options.ObjectBox = None,
    multimask: segment_options.Multimask = False,
    weights: Weights = None,
    out: Out = None,
    as_json: AsJson = False,
    threshold: Threshold = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Find all instances of a concept, or segment one object, without the agent.

    ALL INSTANCES: --phrase, --box and --point describe a concept. A box around one player finds every player.

    ONE OBJECT: --click, --click-out and --object-box describe a single object. A click on a player segments only that
    player. The weights need interactive heads; the official sam3.pt has them.
    """
    from sam3agent.cli.segment import Examples, TypedClicks, run_segment

    examples = Examples(tuple(box or ()), tuple(negative_box or ()), tuple(point or ()), tuple(negative_point or ()))
    one = TypedClicks(tuple(click or ()), tuple(click_out or ()), object_box, multimask)
    run_segment(image, tuple(phrase or ()), examples, one, given_settings(context), as_json=as_json, verbose=verbose)


app.command(cls=GroupedCommand)(track)


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="A trace.jsonl file, or the folder that contains it.")],
    rerun: Annotated[bool, typer.Option(help="Run the state machine again on the recorded replies.")] = False,
    out: Out = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show a recorded question step by step, and draw its answer."""
    from sam3agent.cli.replay import run_replay

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
    probe: Annotated[
        bool,
        typer.Option(
            "--probe", help="Try out the MLLM server with about ten tiny requests; the agent uses the result."
        ),
    ] = False,
) -> None:
    """Check versions, device, weights and MLLM server."""
    from sam3agent.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(given_settings(context), as_json=as_json, probe=probe))


@app.command()
def mcp(
    context: typer.Context,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder.", show_default="sam3agent-out", file_okay=False)
    ] = None,
    threshold: Threshold = None,
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    root: Annotated[list[Path] | None, typer.Option(help="Folder that images may be read from; repeatable.")] = None,
    http: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve over HTTP at this address, path /mcp."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Serve the tools over MCP: standard input and output, or HTTP."""
    from sam3agent.cli.mcp import run_mcp

    run_mcp(given_settings(context), tuple(root or ()), http, verbose=verbose)


@app.command()
def tools() -> None:
    """Print the reference of the tools as Markdown."""
    from sam3agent.tools.registry import tool_reference

    sys.stdout.write(tool_reference())


weights_app = typer.Typer(help="Inspect and convert weights files.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(weights_app, name="weights")


@weights_app.command("info")
def weights_info(
    name: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.")], as_json: AsJson = False
) -> None:
    """Show what a weights file contains."""
    from sam3agent.cli.weights import run_info

    run_info(name, as_json=as_json)


@weights_app.command("convert")
def weights_convert(
    source: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.")],
    target: Annotated[Path, typer.Argument(help="File or folder to write.")],
    layout: Annotated[str, typer.Option(help="native, official or transformers.")] = "native",
    detector: Annotated[
        str | None, typer.Option(help="Weights whose detector goes with a SOURCE of clicks and tracker only.")
    ] = None,
) -> None:
    """Write weights in another layout."""
    from sam3agent.cli.weights import run_convert

    run_convert(source, target, layout, detector)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command; a failure becomes one line and an exit code."""
    prepare_streams()
    code = guarded(lambda: app(args=arguments, prog_name="sam3agent", standalone_mode=False))
    if "sam3agent.deadlines" in sys.modules:
        from sam3agent.deadlines import leave

        leave(code)
    sys.exit(code)


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
    sys.stderr.write(f"sam3agent: {one_line(message)}\n")
    return code
