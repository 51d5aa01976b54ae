"""The command `track` with its flags; `sam3agent.cli.track` runs it."""

from pathlib import Path
from typing import Annotated

import typer

from sam3agent.cli.flags import AsJson, Device, Dtype, Verbose, Weights, given_settings


def track(
    context: typer.Context,
    clip: Annotated[
        str, typer.Argument(help="A clip (mp4, mov, webm, gif, …), or a folder of frames.", metavar="CLIP")
    ],
    phrase: Annotated[
        list[str] | None, typer.Option(help="ALL instances: a short noun phrase, on every frame; repeatable.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME:x0,y0,x1,y1", help="ALL instances like the one in this box; repeatable."),
    ] = None,
    negative_box: Annotated[
        list[str] | None, typer.Option(metavar="FRAME:x0,y0,x1,y1", help="ALL: not like this one; repeatable.")
    ] = None,
    click: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME:x,y[:OBJECT]", help="ONE object: a point on it; repeatable."),
    ] = None,
    click_out: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME:x,y[:OBJECT]", help="ONE object: a point that is not on it; repeatable."),
    ] = None,
    object_box: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME:x0,y0,x1,y1[:OBJECT]", help="ONE object: a box around it; repeatable."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FRAME:FILE[:OBJECT]",
            help="ONE object: an image that is bright where the object is; a palette PNG has one object per index.",
        ),
    ] = None,
    first: Annotated[int | None, typer.Option("--from", min=0, help="First frame.", show_default="0")] = None,
    last: Annotated[int | None, typer.Option("--to", min=0, help="Last frame.", show_default="the last one")] = None,
    every: Annotated[int, typer.Option(min=1, help="Track every n-th frame only.")] = 1,
    reverse: Annotated[bool, typer.Option("--reverse", help="Track backwards in time.")] = False,
    max_objects: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of objects at once.", show_default="no limit")
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Write preview.png, a strip of a few frames, in place of overlay.mp4.")
    ] = False,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="FORMAT", help="Also write davis, coco-vid or mot; repeatable."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Delete the run in the output folder first.")] = False,
    weights: Weights = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder.", show_default="sam3agent-out/NAME-track", file_okay=False)
    ] = None,
    as_json: AsJson = False,
    threshold: Annotated[
        float | None, typer.Option(help="Minimum detection score, between 0 and 1.", show_default="the model's")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    verbose: Verbose = False,
) -> None:
    """Follow objects through a clip. There are two kinds of prompts, which can be combined:

    \b
    ALL instances: --phrase, --box, --negative-box
        find everything that fits a phrase or looks like an example, on every
        frame, also what appears later
    ONE object: --click, --click-out, --object-box, --mask
        show a single object on a frame; nothing else is followed. They belong
        to object 1 unless they end in another number:
            --click 0:40,60 --click 0:44,71      two clicks on one object
            --click 0:40,60 --click 0:90,20:2    two objects

    FRAME counts from 0; coordinates are pixels.

    Writes overlay.mp4, tracks.json (YouTube-VIS layout) and track.jsonl, in which finished frames are kept: after an
    interruption, the same command goes on from there. Tracking starts on the first frame with a prompt; phrases are
    searched from --from on (with --reverse, from --to back).
    """
    from sam3agent.cli.track import TrackFlags, run_track
    from sam3agent.tracking.track_prompts import PromptTexts

    texts = (tuple(given or ()) for given in (phrase, box, negative_box, click, click_out, object_box, mask))
    flags = TrackFlags(
        PromptTexts(*texts), first, last, every, reverse, max_objects, preview, tuple(formats or ()), restart
    )
    run_track(clip, flags, given_settings(context), as_json=as_json, verbose=verbose)
