"""The answer to a question: masks with the evidence, and its files."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3agent.agent.pool import Candidate, Mask
from sam3agent.agent.states import Answered, End, Exhausted, NoMatch, Status
from sam3agent.mllm.base import Usage
from sam3model.errors import InputError
from sam3model.files import replacing, write_json

if TYPE_CHECKING:
    from PIL import Image

OVERLAY_SIDE = 4096
"""An overlay is made for looking at: at most this many pixels long."""


@dataclass(frozen=True, eq=False)
class AnswerMask:
    """One mask of an answer. box: tight xyxy in pixels; score: the segmenter's, 0..1; phrase: what found it."""

    id: int
    box: tuple[int, int, int, int]
    score: float
    phrase: str
    stored: Mask = field(repr=False)

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) bool, at the size of the picture."""
        return self.stored.full()

    @cached_property
    def rle(self) -> dict[str, Any]:
        """COCO run-length code."""
        return self.stored.to_rle()

    def to_json(self) -> dict[str, Any]:
        """id, box, score, area, rle."""
        return {
            "id": self.id,
            "box": list(self.box),
            "score": round(self.score, 4),
            "area": self.stored.area,
            "rle": self.rle,
        }


@dataclass(frozen=True, eq=False)
class Answer:
    """What a question came to. `masks` is the answer; for "exhausted" it is the best so far."""

    query: str
    status: Status
    reason: str
    masks: tuple[AnswerMask, ...]
    picture: "Image.Image" = field(repr=False)
    mllm_calls: int
    segmenter_calls: int
    elapsed_s: float
    usage: Usage
    steps: int
    weights: str
    backend: str
    overlay_path: Path | None = None
    masks_path: Path | None = None
    trace_path: Path | None = None

    def overlay(self) -> "Image.Image":
        """The picture with the answer in full light and the rest dimmed; plain where there is no mask."""
        from sam3agent.render import Mark, fit, spotlight

        marks = tuple(Mark(mask.id, mask.stored) for mask in self.masks)
        small, marks = fit(self.picture, marks, OVERLAY_SIDE)
        return spotlight(small, marks) if marks else small

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `sam3agent ask --json` prints them."""
        return {
            "query": self.query,
            "status": self.status,
            "reason": self.reason,
            "masks": [mask.to_json() for mask in self.masks],
            "image": {"width": self.picture.width, "height": self.picture.height},
            "mllm_calls": self.mllm_calls,
            "segmenter_calls": self.segmenter_calls,
            "elapsed_s": round(self.elapsed_s, 3),
            "overlay": str(self.overlay_path) if self.overlay_path else None,
            "trace": str(self.trace_path) if self.trace_path else None,
            "weights": self.weights,
            "backend": self.backend,
        }

    def to_coco(self, file_name: str) -> dict[str, Any]:
        """The answer as a COCO data set of one image, one category (the question) and RLE segmentations."""
        annotations = [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "bbox": [mask.box[0], mask.box[1], mask.box[2] - mask.box[0], mask.box[3] - mask.box[1]],
                "area": mask.stored.area,
                "segmentation": mask.rle,
                "score": round(mask.score, 4),
                "iscrowd": 0,
            }
            for number, mask in enumerate(self.masks, start=1)
        ]
        image = {"id": 1, "file_name": file_name, "width": self.picture.width, "height": self.picture.height}
        return {"images": [image], "annotations": annotations, "categories": [{"id": 1, "name": self.query}]}

    def save(self, folder: Path, file_name: str = "picture") -> "Answer":
        """Write overlay.png and masks.json into a folder, atomically; the answer with their paths.

        Raises `InputError` where the folder cannot be made, `OutputError` where a file cannot be written.
        """
        make_folder(folder)
        overlay, masks = folder / "overlay.png", folder / "masks.json"
        shown = self.overlay()
        with replacing(overlay) as temporary:
            shown.save(temporary, "PNG", compress_level=1)
        write_json(masks, self.to_coco(file_name))
        return replace(self, overlay_path=overlay, masks_path=masks)


def status_of(end: End) -> Status:
    """The word for an end."""
    match end:
        case Answered():
            return "answered"
        case NoMatch():
            return "no_match"
        case Exhausted():
            return "exhausted"


def masks_of(end: End) -> tuple[AnswerMask, ...]:
    """The masks of an end, in its order."""
    ids = () if isinstance(end, NoMatch) else end.ids
    return tuple(_answer_mask(c) for mask_id in ids if (c := end.story.pool.get(mask_id)))


def _answer_mask(candidate: Candidate) -> AnswerMask:
    phrase, score = max(candidate.phrases, key=lambda pair: pair[1])
    return AnswerMask(candidate.id, candidate.mask.box, score, phrase, candidate.mask)


def make_folder(folder: Path) -> Path:
    """A folder to write into; raises `InputError` where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return folder


@contextmanager
def fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    """The first of parent/NAME-1, NAME-2, … that is not there yet, made so that nobody else gets it too.

    It goes away again where nothing was written into it. Raises `InputError` where it cannot be made.
    """
    make_folder(parent)
    folder = next(path for n in itertools.count(1) if _claim(path := parent / f"{name}-{n}"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _claim(folder: Path) -> bool:
    """Make a folder; False where it is there already."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return True
