"""`sam3agent segment`: all instances of phrases and examples, or one clicked object, without the agent."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sam3agent.answer import SelectedMask, Selection
from sam3agent.api import make_segmenter
from sam3agent.batch_journal import weights_as_read
from sam3agent.cli.batch import ImageBatch, run_batch
from sam3agent.cli.flags import Screen
from sam3agent.cli.image_sources import check_images, expand_sources
from sam3agent.cli.mask_files import FORMATS, write_formats
from sam3agent.cli.screen import (
    Status,
    configure_logging,
    counted,
    output_folder,
    say,
    say_files,
    say_json,
    say_masks,
    say_warnings,
    warn,
)
from sam3agent.config import Settings, load_settings
from sam3agent.downloads import in_words_of, local_source
from sam3agent.knowledge import knowledge_of, unread_warning, unread_words
from sam3agent.media import Media, media_remarks, open_media
from sam3agent.pool import MaskPool, masklets
from sam3agent.segmenter import ObjectClicks, ObjectSession, Prompt, Segmenter, SegmenterSession
from sam3agent.written_lists import split_formats, split_phrases
from sam3model.errors import InputError, OutputError

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
    words: Sequence[str],
    phrases: tuple[str, ...],
    examples: Examples,
    one_object: TypedClicks,
    flags: Mapping[str, Any],
    screen: Screen,
) -> int:
    """Segment, write overlay and masks, print what was found; the exit code. words: the images as typed."""
    configure_logging(screen.verbose)
    if not words:
        raise InputError('Missing argument: the image, e.g. sam3agent segment match.png --phrase "player in white"')
    check_images(words)
    if not phrases and not examples and not one_object:
        raise InputError("nothing to search for: give --phrase, --box or --point, or --click for one object")
    if one_object and (phrases or examples):
        raise InputError("--click and --object-box segment one object: do not add --phrase, --box or --point")
    if one_object and flags.get("threshold") is not None:
        raise InputError("--threshold is for phrases and examples: do not add it to --click or --object-box")
    formats = split_formats(screen.formats, FORMATS, "masks.json")
    sources, several = expand_sources(words)
    if several and (examples or one_object):
        raise InputError("boxes, points and clicks belong to one image: for several images, give --phrase only")
    settings = load_settings(flags)
    status = Status(quiet=screen.as_json, verbose=screen.verbose)
    split = split_phrases(phrases)
    if split != phrases:
        warn(f"searching for {counted(len(split), 'phrase')}: {', '.join(split)}")
    run = SegmentRun(settings, split, examples, one_object, formats, status)
    try:
        if several:
            return run_batch(run.batch(), sources, settings.out, status, as_json=screen.as_json)
        with local_source(sources[0]) as path:
            found = run.find(path)
            found = replace(found, warnings=tuple(in_words_of(sources[0], path, text) for text in found.warnings))
            with output_folder(settings.out, sources[0]) as folder:
                result = run.keep(found, folder, Path(sources[0]).name)
    finally:
        status.done()
    if screen.as_json:
        say_json(result.to_json(settings.weights))
    else:
        result.say()
    return 0


@dataclass(frozen=True)
class SegmentResult:
    """What was found and saved. query: phrases, or what stands for them. elapsed: seconds. written: files by format."""

    selection: Selection
    query: str
    elapsed: float
    clicked: bool
    warnings: tuple[str, ...] = ()
    written: Mapping[str, list[str]] = field(default_factory=dict)

    def to_json(self, weights: str) -> dict[str, Any]:
        """JSON values, as --json prints them."""
        width, height = self.selection.media.size
        masks = [{**mask.to_json(), "phrase": mask.phrase} for mask in self.selection.masks]
        if self.clicked:  # there is no phrase, and the score is the predicted IoU
            masks = [{**mask, "phrase": None, "predicted_iou": mask["score"]} for mask in masks]
        return {
            "query": self.query,
            "masks": masks,
            "image": {"width": width, "height": height},
            "elapsed_s": round(self.elapsed, 3),
            "overlay": str(self.selection.files.overlay) if self.selection.files else None,
            "weights": weights,
            "warnings": list(self.warnings),
            **self.written,
        }

    def say(self) -> None:
        """Print it for people."""
        say(f"{counted(len(self.selection.masks), 'mask')} in {self.elapsed:.2f} s")
        say_masks(self.selection.masks)
        say_warnings(self.warnings)
        say_files(self.selection.files)


@dataclass
class SegmentRun:
    """One command over one or several images; the weights are loaded once."""

    settings: Settings
    phrases: tuple[str, ...]
    examples: Examples
    one_object: TypedClicks
    formats: tuple[str, ...]
    status: Status

    @cached_property
    def segmenter(self) -> Segmenter:
        """The segmenter of the settings."""
        return make_segmenter(self.settings)

    @property
    def query(self) -> str:
        """What was searched for, in words."""
        return ", ".join(self.phrases) or (CLICKED if self.one_object else EXAMPLES)

    def find(self, path: str) -> SegmentResult:
        """Segment one image, or the first frame of a clip."""
        started = time.monotonic()
        media = open_media(path)
        prompt = self.examples.prompt(self.phrases, media.size) if self.examples else None
        clicks = self.one_object.parsed(media.size) if self.one_object else None
        self.status.tell(f"encoding the image ({media.size[0]}x{media.size[1]}) with {self.settings.weights}")
        session = self.segmenter.open(media)
        warnings = (*media_remarks(media), *_warnings(session, self.phrases))
        if clicks is not None:
            selection = _clicked(session, media, clicks)
        else:
            selection = Selection.from_pool(media, _search(session, self.phrases, prompt, self.settings.threshold))
        return SegmentResult(selection, self.query, time.monotonic() - started, clicks is not None, warnings)

    def save(self, found: SegmentResult, folder: Path, name: str) -> SegmentResult:
        """Write its files."""
        saved = found.selection.save(folder, name, self.query)
        return replace(found, selection=saved, written=write_formats(saved, folder, self.formats))

    def keep(self, found: SegmentResult, folder: Path, name: str) -> SegmentResult:
        """Write its files; without them, and with a warning, if they cannot be written."""
        try:
            return self.save(found, folder, name)
        except OutputError as error:
            return replace(found, warnings=(*found.warnings, f"the files of the result are not kept: {error}"))

    def batch(self) -> ImageBatch:
        """The command for several images."""

        def work(path: str, folder: Path) -> dict[str, Any]:
            result = self.save(self.find(path), folder, Path(path).name).to_json(self.settings.weights)
            return {"status": "segmented" if result["masks"] else "no_match", **result}

        weights, threshold = weights_as_read(self.settings.weights), self.settings.threshold
        chosen = {"weights": weights, "threshold": threshold, "formats": list(self.formats)}
        return ImageBatch("segment", self.query, chosen, work, _label)


def _label(record: Mapping[str, Any]) -> str:
    """One line about the masks of an image."""
    return counted(len(record["masks"]), "mask")


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
