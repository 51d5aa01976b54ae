"""`sam3agent segment`: phrases, boxes and points given directly to the segmenter."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.answer import Selection, SelectionFiles
from sam3agent.api import make_segmenter
from sam3agent.cli.screen import Status, configure_logging, counted, output_folder, say, say_files, say_json, say_mask
from sam3agent.config import load_settings
from sam3agent.media import open_media
from sam3agent.pool import MaskPool, masklets
from sam3agent.segmenter import Prompt, SegmenterSession
from sam3model.errors import InputError


@dataclass(frozen=True, slots=True)
class Examples:
    """Example boxes and points as typed: "x0,y0,x1,y1" and "x,y" in pixels."""

    boxes: tuple[str, ...] = ()
    negative_boxes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    negative_points: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.negative_boxes or self.points or self.negative_points)

    def prompt(self, phrase: str | None) -> Prompt:
        """The prompt with these examples. Raises `InputError` if one is not a box or point."""
        boxes = [_numbers(text, 4, "box") for text in (*self.boxes, *self.negative_boxes)]
        points = [_numbers(text, 2, "point") for text in (*self.points, *self.negative_points)]
        return Prompt(
            phrase=phrase,
            boxes=tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes),
            box_labels=(1,) * len(self.boxes) + (0,) * len(self.negative_boxes),
            points=tuple((x, y) for x, y in points),
            point_labels=(1,) * len(self.points) + (0,) * len(self.negative_points),
        )


def run_segment(
    image: str, phrases: tuple[str, ...], examples: Examples, flags: Mapping[str, Any], *, as_json: bool, verbose: bool
) -> None:
    """Segment, write overlay and masks, print what was found."""
    configure_logging(verbose)
    if not phrases and not examples:
        raise InputError("nothing to search for: give --phrase, --box or --point")
    if examples and len(phrases) > 1:
        raise InputError("boxes and points can be combined with one --phrase only")
    prompt = examples.prompt(phrases[0] if phrases else None) if examples else None
    settings = load_settings(flags)
    status = Status(quiet=as_json, verbose=verbose)
    started = time.monotonic()
    media = open_media(image)
    try:
        status.tell(f"encoding the image ({media.size[0]}x{media.size[1]}) with {settings.weights}")
        session = make_segmenter(settings).open(media)
        pool = _search(session, phrases, prompt, settings.threshold)
    finally:
        status.done()
    selection, elapsed = Selection.from_pool(media, pool), time.monotonic() - started
    query = ", ".join(phrases) or "examples"
    with output_folder(settings.out, image) as folder:
        saved = selection.save(folder, Path(image).name, query)
    if as_json and saved.files:
        say_json(_to_json(saved, saved.files, query, elapsed, settings.weights))
        return
    say(f"{counted(len(saved.masks), 'mask')} in {elapsed:.2f} s")
    for mask in saved.masks:
        say_mask(mask)
    say_files(saved.files)


def _search(
    session: SegmenterSession, phrases: tuple[str, ...], prompt: Prompt | None, threshold: float | None
) -> MaskPool:
    pool = MaskPool()
    if prompt is not None:
        return pool.add(prompt.phrase or "examples", masklets(session.segment_prompt(prompt, threshold)))[0]
    for phrase, instances in zip(phrases, session.segment_phrases(phrases, threshold), strict=True):
        pool, _ = pool.add(phrase, masklets(instances))
    return pool


def _to_json(saved: Selection, files: SelectionFiles, query: str, elapsed: float, weights: str) -> dict[str, Any]:
    width, height = saved.media.size
    return {
        "query": query,
        "masks": [{**mask.to_json(), "phrase": mask.phrase} for mask in saved.masks],
        "image": {"width": width, "height": height},
        "elapsed_s": round(elapsed, 3),
        "overlay": str(files.overlay),
        "weights": weights,
    }


def _numbers(text: str, count: int, what: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        wanted = "x0,y0,x1,y1" if count == 4 else "x,y"
        raise InputError(f"{text!r} is not a {what}: write {wanted} in pixels")
    return numbers
