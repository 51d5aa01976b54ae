"""Options of `sam3agent segment`: what finds all instances of a concept, and what segments one object."""

from typing import Annotated, Any

import typer

ALL_INSTANCES = "All instances of a concept"
ONE_OBJECT = "One object only"

POINT, BOX = "X,Y", "X0,Y0,X1,Y1"


def _concept(help_text: str, metavar: str) -> Any:
    return typer.Option(help=help_text, metavar=metavar, rich_help_panel=ALL_INSTANCES)


def _object(help_text: str, metavar: str) -> Any:
    return typer.Option(help=help_text, metavar=metavar, rich_help_panel=ONE_OBJECT)


Phrases = Annotated[
    list[str] | None,
    _concept("Find all instances of a short noun phrase; repeatable, or several with commas.", "TEXT"),
]
Boxes = Annotated[
    list[str] | None, _concept("Box around an example, in pixels: find everything like it; repeatable.", BOX)
]
NegativeBoxes = Annotated[
    list[str] | None, _concept("Box around a negative example: find nothing like it; repeatable.", BOX)
]
Points = Annotated[
    list[str] | None, _concept("Point on an example, in pixels: find everything like it; repeatable.", POINT)
]
NegativePoints = Annotated[
    list[str] | None, _concept("Point on a negative example: find nothing like it; repeatable.", POINT)
]
Clicks = Annotated[
    list[str] | None, _object("Click on the object, in pixels: segment it and nothing else; repeatable.", POINT)
]
ClicksOut = Annotated[
    list[str] | None, _object("Click beside the object: keep this pixel out of its mask; repeatable.", POINT)
]
ObjectBox = Annotated[str | None, _object("Box around the object, in pixels: segment it and nothing else.", BOX)]
Multimask = Annotated[
    bool,
    typer.Option(
        "--multimask",
        help="Return three candidate masks of the object (e.g. shirt, player, team) instead of the best one.",
        rich_help_panel=ONE_OBJECT,
    ),
]
