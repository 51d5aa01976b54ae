"""`sam3agent segment`: phrases, boxes and points straight to the model."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam3agent.agent.pool import MaskPool
from sam3agent.answer import Answer, AnswerMask
from sam3agent.api import make_segmenter
from sam3agent.cli.app import configure_logging
from sam3agent.cli.screen import Status, output_folder, say, say_json, say_mask
from sam3agent.config import load_settings
from sam3agent.images import open_picture
from sam3agent.mllm.base import Usage
from sam3agent.segmenter import Prompt, SegmenterSession
from sam3model.errors import InputError


@dataclass(frozen=True, slots=True)
class Marks:
    """Boxes and points as typed: "x0,y0,x1,y1" and "x,y" in pixels."""

    boxes: tuple[str, ...] = ()
    negative_boxes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    negative_points: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.boxes or self.negative_boxes or self.points or self.negative_points)

    def prompt(self, phrase: str | None) -> Prompt:
        """The prompt meant; raises `InputError` for text that is no box or point."""
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
    image: str, phrases: tuple[str, ...], marks: Marks, flags: Mapping[str, Any], *, as_json: bool, verbose: bool
) -> None:
    """Segment, write overlay and masks, print what was found."""
    configure_logging(verbose)
    if not phrases and not marks:
        raise InputError("nothing to look for: give --phrase, --box or --point")
    if marks and len(phrases) > 1:
        raise InputError("boxes and points go with one --phrase at most")
    prompt = marks.prompt(phrases[0] if phrases else None) if marks else None
    settings = load_settings(flags)
    status = Status(quiet=as_json, verbose=verbose)
    started = time.monotonic()
    picture = open_picture(image)
    try:
        status.tell(f"encoding the picture ({picture.width}x{picture.height}) with {settings.weights}")
        session = make_segmenter(settings).open(picture)
        pool = _search(session, phrases, prompt, settings.threshold)
    finally:
        status.done()
    found = tuple(AnswerMask(c.id, c.mask.box, c.score, c.phrases[0][0], c.mask) for c in pool.candidates)
    query = ", ".join(phrases) or "marks"
    elapsed = time.monotonic() - started
    calls = max(1, len(phrases))
    result = Answer(
        query, "answered", "", found, picture, 0, calls, elapsed, Usage(), 1, settings.weights, "none"
    )  # fmt: skip
    with output_folder(settings.out, image) as folder:
        saved = result.save(folder, Path(image).name)
    _show(saved, as_json)


def _search(
    session: SegmenterSession, phrases: tuple[str, ...], prompt: Prompt | None, threshold: float | None
) -> MaskPool:
    pool = MaskPool()
    if prompt is not None:
        return pool.add(prompt.phrase or "marks", session.segment_prompt(prompt, threshold))[0]
    for phrase, instances in zip(phrases, session.segment_phrases(phrases, threshold), strict=True):
        pool, _ = pool.add(phrase, instances)
    return pool


def _show(saved: Answer, as_json: bool) -> None:
    """An answer without a question, for people or as JSON."""
    value = {
        "query": saved.query,
        "masks": [{**mask.to_json(), "phrase": mask.phrase} for mask in saved.masks],
        "image": {"width": saved.picture.width, "height": saved.picture.height},
        "elapsed_s": round(saved.elapsed_s, 3),
        "overlay": str(saved.overlay_path),
        "weights": saved.weights,
    }
    if as_json:
        say_json(value)
        return
    say(f"{len(saved.masks)} mask{'s' if len(saved.masks) != 1 else ''} in {saved.elapsed_s:.2f} s")
    for mask in saved.masks:
        say_mask(mask)
    say(f"overlay {saved.overlay_path}")
    say(f"masks   {saved.masks_path}")


def _numbers(text: str, count: int, what: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        wanted = "x0,y0,x1,y1" if count == 4 else "x,y"
        raise InputError(f"{text!r} is no {what}: write {wanted} in pixels")
    return numbers
