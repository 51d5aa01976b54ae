"""The commands of `sam3agent weights` with their flags; `sam3agent.cli.weights` runs them."""

from pathlib import Path
from typing import Annotated

import typer

from sam3agent.cli.flags import AsOneJson
from sam3agent.cli.grouped_help import GroupedCommand, examples

weights_app = typer.Typer(
    help="Inspect, convert and average weights files.",
    epilog=examples("sam3agent weights info tiny", "sam3agent weights convert sam3.pt sam3.safetensors"),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@weights_app.command("info", cls=GroupedCommand, epilog=examples("sam3agent weights info tiny"))
def weights_info(
    name: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.", metavar="WEIGHTS")],
    as_json: AsOneJson = False,
) -> None:
    """Show what a weights file contains."""
    from sam3agent.cli.weights import run_info

    run_info(name, as_json=as_json)


@weights_app.command(
    "convert",
    cls=GroupedCommand,
    epilog=examples(
        "sam3agent weights convert sam3.pt sam3.safetensors",
        "sam3agent weights convert finetuned.safetensors finetuned/ --layout transformers",
    ),
)
def weights_convert(
    source: Annotated[str, typer.Argument(help="tiny, facebook/sam3, or a path.", metavar="SOURCE")],
    target: Annotated[Path, typer.Argument(help="File or folder to write.", metavar="TARGET")],
    layout: Annotated[str, typer.Option(help="native, official or transformers.")] = "native",
    detector: Annotated[
        str | None, typer.Option(help="Weights whose detector goes with a SOURCE of clicks and tracker only.")
    ] = None,
) -> None:
    """Write weights in another layout."""
    from sam3agent.cli.weights import run_convert

    run_convert(source, target, layout, detector)


@weights_app.command(
    "average",
    cls=GroupedCommand,
    epilog=examples("sam3agent weights average tiny runs/birds/best.safetensors birds.safetensors --share 0.6"),
)
def weights_average(
    before: Annotated[str, typer.Argument(help="Weights that training started from.", metavar="BEFORE")],
    after: Annotated[str, typer.Argument(help="Weights that it ended with.", metavar="AFTER")],
    target: Annotated[Path, typer.Argument(help="File to write.", metavar="TARGET")],
    share: Annotated[float, typer.Option(help="Of AFTER, between 0 and 1; the rest is of BEFORE.")] = 0.5,
    keep: Annotated[
        list[str] | None, typer.Option(help="Part that is taken from AFTER alone, such as `tracker.` (repeatable).")
    ] = None,
) -> None:
    """Average weights before and after training, to keep most of what both can do."""
    from sam3agent.cli.weights import run_average

    run_average(before, after, target, share, keep or ())
