"""The command `track` with its flags; `sam3agent.cli.track` runs it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sam3agent.cli.flags import AsOneJson, Device, Dtype, Verbose, Weights, folder_path, given_settings
from sam3agent.cli.segment_options import ALL_INSTANCES, ONE_OBJECT

POINT, BOX = "FRAME:X,Y[:OBJECT]", "FRAME:X0,Y0,X1,Y1"


def _all(help_text: str, metavar: str) -> Any:
    return typer.Option(help=help_text, metavar=metavar, rich_help_panel=ALL_INSTANCES)


def _one(help_text: str, metavar: str) -> Any:
    return typer.Option(help=help_text, metavar=metavar, rich_help_panel=ONE_OBJECT)


Clip = Annotated[str, typer.Argument(help="A clip (mp4, mov, webm, gif, …), or a folder of frames.", metavar="CLIP")]
Phrases = Annotated[list[str] | None, _all("Follow all instances of a short noun phrase; repeatable.", "TEXT")]
Boxes = Annotated[list[str] | None, _all("Box around an example: follow everything like it; repeatable.", BOX)]
NegativeBoxes = Annotated[
    list[str] | None, _all("Box around a negative example: follow nothing like it; repeatable.", BOX)
]
Clicks = Annotated[list[str] | None, _one("Click on the object: follow it and nothing else; repeatable.", POINT)]
ClicksOut = Annotated[
    list[str] | None, _one("Click beside the object: keep this pixel out of its mask; repeatable.", POINT)
]
ObjectBoxes = Annotated[
    list[str] | None, _one("Box around the object: follow it and nothing else; repeatable.", f"{BOX}[:OBJECT]")
]
Masks = Annotated[
    list[str] | None,
    _one(
        "Image that is bright where the object is; a palette PNG shows one object per index; repeatable.",
        "FRAME:FILE[:OBJECT]",
    ),
]
First = Annotated[int | None, typer.Option("--from", min=0, help="First frame.", show_default="0")]
Last = Annotated[int | None, typer.Option("--to", min=0, help="Last frame.", show_default="the last one")]
Every = Annotated[int, typer.Option(min=1, help="Track every n-th frame only.")]
Reverse = Annotated[bool, typer.Option("--reverse", help="Track backwards; phrases are searched from --to back.")]
MaxObjects = Annotated[
    int | None, typer.Option(min=1, help="Maximum number of objects at once.", show_default="no limit")
]
Preview = Annotated[
    bool, typer.Option("--preview", help="Write preview.png, a strip of a few frames, in place of overlay.mp4.")
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", metavar="FORMAT", help="Also write davis, coco-vid or mot; repeatable."),
]
Restart = Annotated[bool, typer.Option("--restart", help="Delete the run in the output folder first.")]
TrackOut = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Output folder.", show_default="sam3agent-out/NAME-track", metavar="DIR", parser=folder_path
    ),
]
DetectionThreshold = Annotated[
    float | None,
    typer.Option("--threshold", help="Minimum detection score, between 0 and 1.", show_default="the model's"),
]


def track(
    context: typer.Context,
    clip: Clip,
    phrase: Phrases = None,
    box: Boxes = None,
    negative_box: NegativeBoxes = None,
    click: Clicks = None,
    click_out: ClicksOut = None,
    object_box: ObjectBoxes = None,
    mask: Masks = None,
    first: First = None,
    last: Last = None,
    every: Every = 1,
    reverse: Reverse = False,
    max_objects: MaxObjects = None,
    preview: Preview = False,
    formats: Formats = None,
    restart: Restart = False,
    weights: Weights = None,
    out: TrackOut = None,
    as_json: AsOneJson = False,
    threshold: DetectionThreshold = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Follow objects through a clip.

    ALL INSTANCES: --phrase and --box describe a concept. It is searched on every frame, so that objects which appear
    later are found too.

    ONE OBJECT: --click, --click-out, --object-box and --mask show a single object on a frame, and only that object is
    followed. They belong to object 1 unless they end in another number: --click 0:40,60 --click 0:44,71 are two clicks
    on one object, --click 0:40,60 --click 0:90,20:2 are two objects.

    Both can be combined. FRAME counts from 0; coordinates are pixels.

    Writes overlay.mp4, tracks.json (YouTube-VIS layout) and track.jsonl, which has every finished frame. After an
    interruption, the same command goes on from there: it shows the tracker the last mask of each object, so ids stay,
    and masks may differ a little. Tracking starts on the first frame with a prompt; phrases are searched from --from.
    """
    from sam3agent.cli.track import TrackFlags, run_track
    from sam3agent.tracking.track_prompts import PromptTexts

    texts = (tuple(given or ()) for given in (phrase, box, negative_box, click, click_out, object_box, mask))
    flags = TrackFlags(
        PromptTexts(*texts), first, last, every, reverse, max_objects, preview, tuple(formats or ()), restart
    )
    run_track(clip, flags, given_settings(context), as_json=as_json, verbose=verbose)
