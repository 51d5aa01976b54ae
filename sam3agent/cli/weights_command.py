"""The commands `weights info` and `weights convert` with their flags; `sam3agent.cli.weights` runs them."""

from pathlib import Path
from typing import Annotated

import typer

from sam3agent.cli.flags import AsOneJson
from sam3agent.cli.grouped_help import GroupedCommand, examples

weights_app = typer.Typer(
    help="Inspect and convert weights files.",
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
