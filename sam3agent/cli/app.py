"""The commands, and how failures are reported: one line on stderr and an exit code, never a traceback.

Exit codes: 0 finished, 1 failed (MLLM server, …), 2 invalid input, settings or weights, 130 interrupted.
"""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sam3agent.cli import segment_options
from sam3agent.cli.flags import (
    ApiKey,
    AsClip,
    AsJson,
    AsOneJson,
    Backend,
    BaseUrl,
    Device,
    Dtype,
    EffortFlag,
    Eyesight,
    Formats,
    Images,
    ImagesAndQuestion,
    MaxCalls,
    MaxSeconds,
    MaxSegmenterCalls,
    MaxTokens,
    Model,
    Out,
    Screen,
    Temperature,
    ThinkingFlag,
    Threshold,
    Timeout,
    Verbose,
    Weights,
    WithoutFlag,
    folder_path,
    given_settings,
    package_version,
)
from sam3agent.cli.grouped_help import GroupedCommand, examples
from sam3agent.cli.label_command import label
from sam3agent.cli.mcp_command import mcp
from sam3agent.cli.track_command import track
from sam3agent.cli.weights_command import weights_app
from sam3model.errors import CheckpointError, ConfigError, InputError, Sam3Error
from sam3model.printable import one_line, prepare_streams

app = typer.Typer(
    name="sam3agent",
    help="Ask a question about an image in plain words and get masks back, with the evidence.",
    epilog=examples(
        'sam3agent ask match.png "leftmost player in white"',
        'sam3agent segment match.png --phrase "player in white" --phrase ball',
        "sam3agent track clip.mp4 --phrase dog",
        "sam3agent COMMAND -h",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"sam3agent {package_version()}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options before the command."""


@app.command(
    cls=GroupedCommand,
    epilog=examples(
        'sam3agent ask match.png "leftmost player in white"',
        "sam3agent ask match.png leftmost player in white",
        'sam3agent ask photos/ "every dog" --out dogs --format cutout',
        'sam3agent ask a.jpg b.jpg "https://example.org/c.jpg" "the red car" --json',
        'sam3agent ask match.png "who passed to the one with the ball?" --base-url http://localhost:8000/v1',
    ),
)
def ask(
    context: typer.Context,
    words: ImagesAndQuestion = None,
    as_clip: AsClip = False,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: Out = None,
    as_json: AsJson = False,
    formats: Formats = None,
    threshold: Threshold = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    thinking: ThinkingFlag = None,
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    effort: EffortFlag = None,
    without: WithoutFlag = None,
    eyesight: Eyesight = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Answer a question about an image with masks, or about each of several images.

    The question may be written without quotes. A folder stands for the images in it, or with --clip for one clip, and a
    pattern such as "*.jpg" for the files that match. Several images share one folder with a journal; after an
    interruption, the same command goes on where it stopped. Answers that are not final are asked again if the server
    had failed, or with a larger --max-calls, --max-segmenter-calls or --max-seconds.
    """
    from sam3agent.cli.ask import run_ask

    screen = Screen(as_json=as_json, verbose=verbose, formats=tuple(formats or ()), clips=as_clip)
    _finish(run_ask(tuple(words or ()), given_settings(context), screen, started=context.obj))


@app.command(
    cls=GroupedCommand,
    epilog=examples(
        'sam3agent segment match.png --phrase "player in white" --phrase ball',
        "sam3agent segment match.png --box 46,312,188,552",
        "sam3agent segment match.png --click 117,430 --weights sam3.pt",
        'sam3agent segment "photos/*.jpg" --phrase dog --format png --out dogs',
    ),
)
def segment(
    context: typer.Context,
    images: Images = None,
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
    formats: Formats = None,
    threshold: Threshold = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Find all instances of a concept, or segment one object, without the agent.

    ALL INSTANCES: --phrase, --box and --point describe a concept. A box around one player finds every player.

    ONE OBJECT: --click, --click-out and --object-box describe a single object. A click on a player segments only that
    player. The weights need interactive heads; the official sam3.pt has them.

    Several images, folders and patterns work as in ask, for phrases.
    """
    from sam3agent.cli.segment import Examples, TypedClicks, run_segment

    shown = Examples(tuple(box or ()), tuple(negative_box or ()), tuple(point or ()), tuple(negative_point or ()))
    one = TypedClicks(tuple(click or ()), tuple(click_out or ()), object_box, multimask)
    screen = Screen(as_json=as_json, verbose=verbose, formats=tuple(formats or ()))
    _finish(run_segment(tuple(images or ()), tuple(phrase or ()), shown, one, given_settings(context), screen))


app.command(
    cls=GroupedCommand,
    epilog=examples(
        "sam3agent track clip.mp4 --phrase player --phrase ball",
        "sam3agent track clip.mp4 --click 0:320,180 --from 0 --to 250 --out one-player",
    ),
)(track)


app.command(
    cls=GroupedCommand,
    epilog=examples(
        "sam3agent label photos/ --phrase dog --phrase cat --out pets --split train=0.9,val=0.1 --review",
        "sam3agent label clip.mp4 --every 30 --phrase player --out players --format yolo-seg",
        'sam3agent label "shards/{0000..0099}.tar" --phrase car --out cars --workers 4',
        "sam3agent label images.csv --phrase car --out cars --workers ray",
        'sam3agent label photos/ --query "the leftmost dog" --out dogs --base-url http://localhost:8000/v1',
    ),
)(label)


@app.command(
    cls=GroupedCommand,
    epilog=examples("sam3agent replay sam3agent-out/match-1", "sam3agent replay sam3agent-out/match-1 --rerun --json"),
)
def replay(
    trace: Annotated[Path, typer.Argument(help="A trace.jsonl file, or the folder that contains it.", metavar="TRACE")],
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run the state machine again on the recorded replies.")
    ] = False,
    out: Out = None,
    as_json: AsOneJson = False,
    verbose: Verbose = False,
) -> None:
    """Show a recorded question step by step, and draw its answer."""
    from sam3agent.cli.replay import run_replay

    run_replay(trace, rerun=rerun, out=out, as_json=as_json, verbose=verbose)


@app.command(
    cls=GroupedCommand, epilog=examples("sam3agent doctor", "sam3agent doctor --base-url http://localhost:8000/v1")
)
def doctor(
    context: typer.Context,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    device: Device = None,
    dtype: Dtype = None,
    as_json: AsOneJson = False,
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


app.command(
    cls=GroupedCommand,
    epilog=examples("sam3agent mcp --root ~/photos", "sam3agent mcp --http 127.0.0.1:8001 --weights facebook/sam3"),
)(mcp)


@app.command(
    cls=GroupedCommand,
    epilog=examples("sam3agent studio photos/", "sam3agent studio clip.mp4 --weights facebook/sam3"),
)
def studio(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Images, clips and folders of them.", show_default="the working directory", metavar="PATH..."
        ),
    ] = None,
    weights: Weights = None,
    mllm: Backend = None,
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for masks and exports.", show_default="sam3agent-out/studio", metavar="DIR", parser=folder_path
        ),
    ] = None,
    threshold: Threshold = None,
    max_calls: MaxCalls = None,
    max_segmenter_calls: MaxSegmenterCalls = None,
    effort: EffortFlag = None,
    without: WithoutFlag = None,
    max_seconds: MaxSeconds = None,
    timeout: Timeout = None,
    device: Device = None,
    dtype: Dtype = None,
    host: Annotated[str, typer.Option(help="Address to listen on.", metavar="HOST")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="Port to listen on.", show_default="the first free one from 8400", min=1, max=65535),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name that the page is opened by; repeatable.", metavar="NAME")
    ] = None,
    token: Annotated[bool, typer.Option("--token/--no-token", help="Whether the address needs its token.")] = True,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open the page.")] = True,
    verbose: Verbose = False,
) -> None:
    """Open a local page to find, ask, watch, correct and export masks."""
    from sam3agent.cli.studio import run_studio
    from sam3agent.servers.studio.studio_server import StudioAddress

    address = StudioAddress(host, port, tuple(allow_host or ()))
    run_studio(tuple(paths or ()), given_settings(context), address, token=token, browser=browser, verbose=verbose)


@app.command(cls=GroupedCommand, epilog=examples("sam3agent tools > tools.md"))
def tools() -> None:
    """Print the reference of the tools as Markdown."""
    from sam3agent.cli.screen import say
    from sam3agent.tools.registry import tool_reference

    say(tool_reference().rstrip("\n"))


app.add_typer(weights_app, name="weights")


def _finish(code: int) -> None:
    """End a command with an exit code that is not 0."""
    if code:
        raise typer.Exit(code)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command; a failure becomes one line and an exit code.

    Commands find in `context.obj` when they began, in seconds of `time.monotonic`: the time of a question counts from
    there.
    """
    started = time.monotonic()
    prepare_streams()
    code = guarded(lambda: app(args=arguments, prog_name="sam3agent", standalone_mode=False, obj=started))
    if arguments is None and "sam3agent.deadlines" in sys.modules:  # a program that gives arguments goes on afterwards
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
            message: str = error.format_message()  # pyright: ignore[reportAttributeAccessIssue]
            return _fail(message.replace("Value error, ", ""), 2)  # the words of pydantic, which typer coerces with
        if type(error).__name__ == "Abort":
            return _fail("interrupted", 130)
        logging.getLogger(__name__).info("details", exc_info=True)
        return _fail(f"{type(error).__name__}: {error} (run with --verbose for details)", 1)
    return result if isinstance(result, int) else 0


def _fail(message: object, code: int) -> int:
    sys.stderr.write(f"sam3agent: {one_line(message)}\n")
    return code
