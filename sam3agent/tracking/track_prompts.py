"""What is to be followed, and on which frames: read from the texts of a command line."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam3agent.media import ClipMedia
from sam3agent.written_lists import split_phrases
from sam3model.errors import InputError
from sam3model.pixel_places import check_points, clip_boxes
from sam3model.raster_files import opened_raster

FRAME = re.compile(r"\s*(\d+)\s*:(.+)", re.DOTALL)
NAMED_FILE = re.compile(r"(.+):(\d+)", re.DOTALL)
VOID = 255


@dataclass(frozen=True, slots=True)
class ExampleBoxes:
    """Boxes (xyxy in pixels) on one frame: everything like those labelled 1, unlike those labelled 0."""

    frame: int
    boxes: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShownObject:
    """One object, shown on one frame. number: its id in the results. mask: a file, and the label in it (0: any).

    points: (x, y) in pixels; labels: 1 on the object, 0 not on it. box: xyxy in pixels.
    """

    number: int
    frame: int
    points: tuple[tuple[float, ...], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, ...] | None = None
    mask: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """Prompts as typed; see `sam3agent track --help` for their forms."""

    phrases: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    negative_boxes: tuple[str, ...] = ()
    clicks: tuple[str, ...] = ()
    clicks_out: tuple[str, ...] = ()
    object_boxes: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackPrompts:
    """Everything that is to be followed: all instances of phrases or examples, and single objects."""

    phrases: tuple[str, ...] = ()
    examples: ExampleBoxes | None = None
    objects: tuple[ShownObject, ...] = ()

    @classmethod
    def read(cls, texts: PromptTexts) -> "TrackPrompts":
        """From texts. Raises `InputError` if one is malformed, or nothing is prompted."""
        phrases = split_phrases(texts.phrases)
        examples = _examples(texts)
        if examples and len(phrases) > 1:
            raise InputError("--box can be combined with one --phrase only")
        prompts = cls(phrases, examples, _objects(texts))
        if not (phrases or examples or prompts.objects):
            raise InputError("nothing to track: give --phrase, --box, --click, --object-box or --mask")
        return prompts


@dataclass(frozen=True, slots=True)
class TrackSpan:
    """The frames to track, in their order in time, and the direction."""

    frames: range
    reverse: bool = False

    @classmethod
    def of(
        cls, clip: ClipMedia, first: int | None = None, last: int | None = None, every: int = 1, reverse: bool = False
    ) -> "TrackSpan":
        """Every `every`th frame from `first` to `last`, both included. Raises `InputError` if the clip lacks them."""
        start, end = first or 0, clip.count - 1 if last is None else last
        for flag, number in (("--from", start), ("--to", end)):
            if not 0 <= number < clip.count:
                raise InputError(f"{flag} {number}: the frames of {clip.name} are 0 to {clip.count - 1}")
        if start > end:
            raise InputError(f"--from {start} is after --to {end}")
        return cls(range(start, end + 1, every), reverse)

    @property
    def first(self) -> int:
        """The frame from which tracking may start."""
        return self.frames[-1] if self.reverse else self.frames[0]

    def index(self, frame: int) -> int:
        """Position of a frame of the clip among the tracked ones. Raises `InputError` if it is not one of them."""
        if frame not in self.frames:
            step = f", every {self.frames.step}" if self.frames.step > 1 else ""
            raise InputError(
                f"frame {frame} is not tracked: the frames are {self.frames[0]} to {self.frames[-1]}{step}"
            )
        return self.frames.index(frame)

    def is_after(self, frame: int, other: int) -> bool:
        """Whether a frame comes after another in the direction of tracking."""
        return frame < other if self.reverse else frame > other


def read_mask(file: str, label: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask (H, W) of a label in an image file; label 0: of all labels.

    Raises `InputError` if the file is not a mask of this size (width, height), or has no such label.
    """
    labels = _labels(file)
    if labels.shape != (size[1], size[0]):
        raise InputError(f"the mask {file} is {labels.shape[1]}x{labels.shape[0]} pixels, the clip {size[0]}x{size[1]}")
    mask = labels == label if label else labels > 0
    if not mask.any():
        raise InputError(f"the mask {file} is empty")
    return mask


def _examples(texts: PromptTexts) -> ExampleBoxes | None:
    given = [(*_box(text, "--box"), 1) for text in texts.boxes]
    given += [(*_box(text, "--negative-box"), 0) for text in texts.negative_boxes]
    if not given:
        return None
    if len({frame for frame, _, _ in given}) > 1:
        raise InputError("all --box and --negative-box must be on one frame; show single objects with --object-box")
    return ExampleBoxes(given[0][0], tuple(box for _, box, _ in given), tuple(label for _, _, label in given))


@dataclass
class _Shown:
    """What was shown of one object on one frame, while it is collected."""

    points: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[float, ...] | None = None
    mask: tuple[str, int] | None = None


def _objects(texts: PromptTexts) -> tuple[ShownObject, ...]:
    """One prompt for every object and frame, in the order of the frames."""
    shown: dict[tuple[int, int], _Shown] = {}

    def at(frame: int, number: int) -> _Shown:
        return shown.setdefault((frame, number), _Shown())

    for label, flag, clicks in ((1, "--click", texts.clicks), (0, "--click-out", texts.clicks_out)):
        for text in clicks:
            frame, number, point = _numbered(text, flag, 2)
            at(frame, number).points.append(point)
            at(frame, number).labels.append(label)
    for text in texts.object_boxes:
        frame, number, box = _numbered(text, "--object-box", 4)
        _only_one(at(frame, number).box, text, "box")
        at(frame, number).box = _corners(box, text, "--object-box")
    for text in texts.masks:
        for frame, number, mask in _masks(text):
            _only_one(at(frame, number).mask, text, "mask")
            at(frame, number).mask = mask
    return tuple(
        ShownObject(number, frame, tuple(one.points), tuple(one.labels), one.box, one.mask)
        for (frame, number), one in sorted(shown.items(), key=lambda item: item[0])
    )


def _only_one(known: object, text: str, what: str) -> None:
    if known is not None:
        raise InputError(f"{text}: this object has a {what} on this frame already; number other objects, e.g. {text}:2")


def _numbered(text: str, flag: str, count: int) -> tuple[int, int, tuple[float, ...]]:
    """Frame, object number and coordinates of "FRAME:…" or "FRAME:…:OBJECT"."""
    frame, rest = _frame(text, flag, count)
    values, separator, number = rest.partition(":")
    if separator and not (number.strip().isdecimal() and int(number)):
        raise _malformed(text, flag, count)
    return frame, int(number) if separator else 1, _values(values, lambda: _malformed(text, flag, count), count)


def _box(text: str, flag: str) -> tuple[int, tuple[float, ...]]:
    frame, rest = _frame(text, flag, 4)
    return frame, _corners(_values(rest, lambda: _malformed(text, flag, 4), 4), text, flag)


def _corners(box: tuple[float, ...], text: str, flag: str) -> tuple[float, ...]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise InputError(f"{flag} {text}: a box is left,top,right,bottom; this one is empty")
    return box


def _masks(text: str) -> list[tuple[int, int, tuple[str, int]]]:
    """Frame, object number and mask for each object in the file of "FRAME:FILE" or "FRAME:FILE:OBJECT"."""
    found = FRAME.fullmatch(text)
    if not found:
        raise InputError(f"--mask {text}: write FRAME:FILE (or FRAME:FILE:OBJECT), e.g. 0:mask.png")
    frame, file = int(found[1]), found[2]
    named = NAMED_FILE.fullmatch(file)
    if named and not Path(file).exists():
        return [(frame, max(1, int(named[2])), (named[1], 0))]
    objects = [(frame, label, (file, label)) for label in np.unique(_labels(file)).tolist() if label]
    if not objects:
        raise InputError(f"the mask {file} is empty")
    return objects


def _labels(file: str) -> NDArray[np.uint8]:
    """Labels (H, W): the indices of a palette image, without void; 1 where any other image is bright."""
    with opened_raster(file) as image:
        if image.mode == "P":
            indices = np.asarray(image, np.uint8)
            return np.where(indices == VOID, np.uint8(0), indices)
        levels = np.asarray(image.convert("L"), np.uint8)
        return (levels > levels.max() / 2).astype(np.uint8)


def _frame(text: str, flag: str, count: int) -> tuple[int, str]:
    found = FRAME.fullmatch(text)
    if not found:
        raise _malformed(text, flag, count)
    return int(found[1]), found[2]


def _values(text: str, error: Callable[[], InputError], count: int) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not np.isfinite(values).all():
        raise error()
    return values


def _malformed(text: str, flag: str, count: int) -> InputError:
    form = "FRAME:x0,y0,x1,y1" if count == 4 else "FRAME:x,y"
    number = "" if flag in ("--box", "--negative-box") else f" (or {form}:OBJECT)"
    return InputError(
        f"{flag} {text}: write {form}{number} in pixels, e.g. 0:{'10,20,60,80' if count == 4 else '40,60'}"
    )


def check_prompts(prompts: TrackPrompts, span: TrackSpan, clip: ClipMedia) -> None:
    """Raises `InputError` if a prompt is on a frame that is not tracked, or outside the image."""
    for frame in prompted_frames(prompts):
        span.index(frame)
    for prompt in prompts.objects:
        check_points(prompt.points, clip.size)
        clip_boxes(prompt.box or (), clip.size)
        if prompt.mask:
            read_mask(*prompt.mask, clip.size)
    if prompts.examples:
        clip_boxes(prompts.examples.boxes, clip.size)


def tracked_frames(prompts: TrackPrompts, span: TrackSpan) -> range:
    """The frames of a run, in the order of tracking: it starts on the first frame with a prompt."""
    prompted = [span.index(frame) for frame in prompted_frames(prompts)]
    if prompts.phrases and not prompts.examples:
        prompted.append(span.index(span.first))
    return span.frames[max(prompted) :: -1] if span.reverse else span.frames[min(prompted) :]


def prompted_frames(prompts: TrackPrompts) -> tuple[int, ...]:
    """Frames that boxes, clicks and masks are on, ascending."""
    frames = {prompt.frame for prompt in prompts.objects} | ({prompts.examples.frame} if prompts.examples else set())
    return tuple(sorted(frames))
