"""`sam3agent segment`: all instances of phrases and examples, or one clicked object, without the agent."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.answer import SelectedMask, Selection, SelectionFiles
from sam3agent.api import make_segmenter
from sam3agent.cli.screen import (
    Status,
    configure_logging,
    counted,
    output_folder,
    say,
    say_files,
    say_json,
    say_mask,
    say_warnings,
)
from sam3agent.config import load_settings
from sam3agent.knowledge import knowledge_of, unread_warning, unread_words
from sam3agent.media import Media, open_media
from sam3agent.pool import MaskPool, masklets
from sam3agent.segmenter import ObjectClicks, ObjectSession, Prompt, SegmenterSession
from sam3model.errors import InputError

CLICKED = "click"
"""What stands for the phrase of a mask that was found by clicks or a box around one object."""

EXAMPLES = "examples"
"""The same for masks found by examples alone."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Example boxes and points as typed: "x0,y0,x1,y1" and "x,y" in pixels."""

    boxes: tuple[str, ...] = ()
    negative_boxes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    negative_points: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.negative_boxes or self.points or self.negative_points)

    def prompt(self, phrases: tuple[str, ...], size: tuple[int, int]) -> Prompt:
        """The prompt with these examples in an image of this size, and with the phrase, if any.

        Raises `InputError` if one is not a box or point, or if there are only negative ones.
        """
        if len(phrases) > 1:
            raise InputError("boxes and points can be combined with one --phrase only")
        if not phrases and not self.boxes and not self.points:
            raise InputError("negative examples alone find nothing: add --phrase, --box or --point")
        points = [_point(text, "--point", size) for text in self.points]
        points += [_point(text, "--negative-point", size) for text in self.negative_points]
        return Prompt(
            phrase=phrases[0] if phrases else None,
            boxes=tuple(_box(text) for text in (*self.boxes, *self.negative_boxes)),
            box_labels=(1,) * len(self.boxes) + (0,) * len(self.negative_boxes),
            points=tuple(points),
            point_labels=(1,) * len(self.points) + (0,) * len(self.negative_points),
        )


@dataclass(frozen=True, slots=True)
class TypedClicks:
    """What describes one object, as typed."""

    clicks: tuple[str, ...] = ()
    clicks_out: tuple[str, ...] = ()
    box: str | None = None
    candidates: bool = False

    def __bool__(self) -> bool:
        return bool(self.clicks or self.clicks_out or self.box is not None or self.candidates)

    def parsed(self, size: tuple[int, int]) -> ObjectClicks:
        """The clicks and the box in an image of this size. Raises `InputError` if one is invalid or all are missing."""
        if not self.clicks and self.box is None:
            what = "--click-out" if self.clicks_out else "--multimask"
            raise InputError(f"{what} alone describes no object: add --click or --object-box")
        points = [_point(text, "--click", size) for text in self.clicks]
        points += [_point(text, "--click-out", size) for text in self.clicks_out]
        return ObjectClicks(
            points=tuple(points),
            labels=(1,) * len(self.clicks) + (0,) * len(self.clicks_out),
            box=None if self.box is None else _box(self.box),
            candidates=self.candidates,
        )


def run_segment(
    image: str,
    phrases: tuple[str, ...],
    examples: Examples,
    one_object: TypedClicks,
    flags: Mapping[str, Any],
    *,
    as_json: bool,
    verbose: bool,
) -> None:
    """Segment, write overlay and masks, print what was found."""
    configure_logging(verbose)
    if not phrases and not examples and not one_object:
        raise InputError("nothing to search for: give --phrase, --box or --point, or --click for one object")
    if one_object and (phrases or examples):
        raise InputError("--click and --object-box segment one object: do not add --phrase, --box or --point")
    if one_object and flags.get("threshold") is not None:
        raise InputError("--threshold is for phrases and examples: do not add it to --click or --object-box")
    settings = load_settings(flags)
    status = Status(quiet=as_json, verbose=verbose)
    started = time.monotonic()
    media = open_media(image)
    prompt = examples.prompt(phrases, media.size) if examples else None
    clicks = one_object.parsed(media.size) if one_object else None
    try:
        status.tell(f"encoding the image ({media.size[0]}x{media.size[1]}) with {settings.weights}")
        session = make_segmenter(settings).open(media)
        warnings = _warnings(session, phrases)
        if clicks is not None:
            selection = _clicked(session, media, clicks)
        else:
            selection = Selection.from_pool(media, _search(session, phrases, prompt, settings.threshold))
    finally:
        status.done()
    elapsed = time.monotonic() - started
    query = ", ".join(phrases) or (EXAMPLES if clicks is None else CLICKED)
    with output_folder(settings.out, image) as folder:
        saved = selection.save(folder, Path(image).name, query)
    if as_json and saved.files:
        value = _to_json(saved, saved.files, query, elapsed, settings.weights, clicked=clicks is not None)
        say_json(value | {"warnings": warnings})
        return
    say(f"{counted(len(saved.masks), 'mask')} in {elapsed:.2f} s")
    for mask in saved.masks:
        say_mask(mask)
    say_warnings(warnings)
    say_files(saved.files)


def _warnings(session: SegmenterSession, phrases: tuple[str, ...]) -> list[str]:
    """Words that the weights do not read, and what the weights do not know."""
    cut = [unread_warning(phrase, unread) for phrase in phrases if (unread := unread_words(session, phrase))]
    return [*cut, *filter(None, [knowledge_of(session).notice if phrases else ""])]


def _search(
    session: SegmenterSession, phrases: tuple[str, ...], prompt: Prompt | None, threshold: float | None
) -> MaskPool:
    pool = MaskPool()
    if prompt is not None:
        return pool.add(prompt.phrase or EXAMPLES, masklets(session.segment_prompt(prompt, threshold)))[0]
    for phrase, instances in zip(phrases, session.segment_phrases(phrases, threshold), strict=True):
        pool, _ = pool.add(phrase, masklets(instances))
    return pool


def _clicked(session: SegmenterSession, media: Media, clicks: ObjectClicks) -> Selection:
    """The mask of one object or all its candidates, best first: they overlap, so they do not go through a pool."""
    if not isinstance(session, ObjectSession):
        raise InputError("this segmenter cannot segment one object by clicks: use --phrase, --box or --point")
    found = masklets(session.segment_object(clicks))
    masks = (SelectedMask(number, iou, CLICKED, masklet) for number, (masklet, iou) in enumerate(found, start=1))
    return Selection(media, tuple(masks))


def _to_json(
    saved: Selection, files: SelectionFiles, query: str, elapsed: float, weights: str, *, clicked: bool
) -> dict[str, Any]:
    width, height = saved.media.size
    masks = [{**mask.to_json(), "phrase": mask.phrase} for mask in saved.masks]
    if clicked:  # there is no phrase, and the score is the predicted IoU
        masks = [{**mask, "phrase": None, "predicted_iou": mask["score"]} for mask in masks]
    return {
        "query": query,
        "masks": masks,
        "image": {"width": width, "height": height},
        "elapsed_s": round(elapsed, 3),
        "overlay": str(files.overlay),
        "weights": weights,
    }


def _point(text: str, flag: str, size: tuple[int, int]) -> tuple[float, float]:
    x, y = _numbers(text, 2, "point")
    width, height = size
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{flag} {text} is outside the image of {width}x{height} pixels")
    return x, y


def _box(text: str) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = _numbers(text, 4, "box")
    if not (x0 < x1 and y0 < y1):
        raise InputError(f"{text!r} is not a box: write x0,y0,x1,y1 in pixels with x1 > x0 and y1 > y0")
    return x0, y0, x1, y1


def _numbers(text: str, count: int, what: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        wanted = "x0,y0,x1,y1" if count == 4 else "x,y"
        raise InputError(f"{text!r} is not a {what}: write {wanted} in pixels")
    return numbers
