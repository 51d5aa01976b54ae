"""Selected masks with their files, and the answer to a question: a selection with its verdict and costs."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3agent.absence import Absence
from sam3agent.masks import Box, Mask, Masklet, best_frame
from sam3agent.media import ClipMedia, Media
from sam3agent.mllm.base import Usage
from sam3agent.pool import Candidate, MaskPool
from sam3agent.states import Status
from sam3model.errors import InputError
from sam3model.files import replacing, write_json

if TYPE_CHECKING:
    from PIL import Image

OVERLAY_SIDE = 4096
"""Maximum side of an overlay in pixels."""


@dataclass(frozen=True, eq=False)
class SelectedMask:
    """One object of a selection. score: the segmenter's, 0..1. phrase: what found it."""

    id: int
    score: float
    phrase: str
    masklet: Masklet = field(repr=False)

    @classmethod
    def of(cls, candidate: Candidate) -> "SelectedMask":
        """A candidate with the phrase that found it with the highest score."""
        phrase, score = max(candidate.phrases, key=lambda pair: pair[1])
        return cls(candidate.id, score, phrase, candidate.masklet)

    @property
    def stored(self) -> Mask:
        """The mask on the key frame (for an image: the mask), stored inside its box."""
        return self.masklet.mask

    @property
    def box(self) -> Box:
        """Tight box on the key frame, xyxy in pixels."""
        return self.stored.box

    @property
    def area(self) -> int:
        """Number of pixels on the key frame."""
        return self.stored.area

    @cached_property
    def mask(self) -> np.ndarray:
        """The mask on the key frame, (H, W) bool, at the size of the image."""
        return self.stored.full()

    @cached_property
    def rle(self) -> dict[str, Any]:
        """The mask on the key frame as COCO RLE."""
        return self.stored.to_rle()

    def to_json(self, *, on_clip: bool = False) -> dict[str, Any]:
        """id, box, score, area, rle; on a clip, those on its key frame, and the frames on which it is."""
        frames = self.masklet.areas
        over_time = {
            "frame": self.masklet.key_frame,
            "first_frame": min(frames),
            "last_frame": max(frames),
            "frames_visible": len(frames),
        }
        return {
            "id": self.id,
            "box": list(self.box),
            "score": round(self.score, 4),
            "area": self.area,
            "rle": self.rle,
            **(over_time if on_clip else {}),
        }


@dataclass(frozen=True, slots=True)
class SelectionFiles:
    """Where a selection was saved. clip, strip: masklets drawn on all frames of a clip, and on a few in one image."""

    overlay: Path
    masks: Path
    clip: Path | None = None
    strip: Path | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """Masks chosen on a medium, and the files they were saved to, if any."""

    media: Media = field(repr=False)
    masks: tuple[SelectedMask, ...]
    files: SelectionFiles | None = None

    @classmethod
    def from_pool(cls, media: Media, pool: MaskPool, ids: Sequence[int] | None = None) -> "Selection":
        """The candidates of a pool with these ids, in their order; all if `ids` is None. Unknown ids are ignored."""
        candidates = (pool.get(mask_id) for mask_id in (pool.ids if ids is None else ids))
        return cls(media, tuple(SelectedMask.of(candidate) for candidate in candidates if candidate))

    @property
    def frame(self) -> int:
        """The frame to show: the one with most of the masks."""
        return best_frame([mask.masklet for mask in self.masks])

    def overlay(self, empty: str = "") -> "Image.Image":
        """The frame to show with its masks highlighted and the rest dimmed.

        empty: a line to write on the image if there are no masks; it is otherwise unchanged.
        """
        from sam3agent.render import best_marks, captioned, fit, spotlight

        phrases = {mask.id: mask.phrase for mask in self.masks}
        frame, marks = best_marks([(mask.id, mask.masklet) for mask in self.masks], phrases)
        small, marks = fit(self.media.frame(frame), marks, OVERLAY_SIDE)
        if not marks:
            return captioned(small, empty) if empty else small
        return spotlight(small, marks)

    def to_coco(self, file_name: str, category: str) -> dict[str, Any]:
        """A COCO data set: one image per frame with masks (at least frame 0), one category, RLE segmentations."""
        frames = sorted({0, *(frame for mask in self.masks for frame in mask.masklet.masks)})
        width, height = self.media.size
        image = {"file_name": file_name, "width": width, "height": height}
        numbers = {frame: number for number, frame in enumerate(frames, start=1)}
        on_clip = self.media.count > 1
        images = [{"id": number, **image, **_of_frame(self.media, t, on_clip)} for t, number in numbers.items()]
        masks = ((mask, frame, stored) for mask in self.masks for frame, stored in mask.masklet)
        annotations = [
            {
                "id": number,
                "image_id": numbers[frame],
                "category_id": 1,
                "bbox": [stored.box[0], stored.box[1], stored.box[2] - stored.box[0], stored.box[3] - stored.box[1]],
                "area": stored.area,
                "segmentation": stored.to_rle(),
                "score": round(mask.score, 4),
                "iscrowd": 0,
            }
            for number, (mask, frame, stored) in enumerate(masks, start=1)
        ]
        return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": category}]}

    def save(self, folder: Path, file_name: str, category: str, empty: str = "no match") -> "Selection":
        """Write overlay.png and masks.json into a folder, atomically; for masklets of a clip, also overlay.mp4 and
        strip.png. Returns the selection with its files.

        category: what the masks show. empty: what the overlay says before the category if there are no masks.

        Raises `InputError` if the folder cannot be created, `OutputError` if a file cannot be written.
        """
        make_folder(folder)
        files = SelectionFiles(folder / "overlay.png", folder / "masks.json")
        shown = self.overlay(f"{empty}: {category}")
        with replacing(files.overlay) as temporary:
            shown.save(temporary, "PNG", compress_level=1)
        write_json(files.masks, self.to_coco(file_name, category))
        return replace(self, files=self._with_clip(files, folder))

    def _with_clip(self, files: SelectionFiles, folder: Path) -> SelectionFiles:
        """The files, and those that show the masklets of a clip over time."""
        from sam3agent.tracking.answer_clip import write_answer_clip

        if not isinstance(self.media, ClipMedia) or not any(len(mask.masklet.areas) > 1 for mask in self.masks):
            return files
        masklets = [(mask.id, mask.phrase, mask.masklet) for mask in self.masks]
        clip, strip = write_answer_clip(folder, self.media, masklets)
        return replace(files, clip=clip, strip=strip)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a question cost. steps: state transitions. usage: tokens, as the server counted them."""

    mllm_calls: int
    segmenter_calls: int
    elapsed_s: float
    steps: int
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to a question. For the status "exhausted", the selection is the best answer so far.

    warnings: what the answer does not take into account, and what to know about the weights; a sentence each. absence:
    what a "no match" rests on; None for any other status. failed: whether the question ended without a single usable
    reply of the backend, so that the answer says nothing about the image. interrupted: whether a failure of the backend
    ended the question, or the looks at its answer, so that asking again may help. confidence: that the answer is right,
    0..1, as the looks at its masks have it; None where nobody weighed them.
    """

    query: str
    status: Status
    reason: str
    selection: Selection
    costs: Costs
    weights: str
    backend: str
    trace_path: Path | None = None
    warnings: tuple[str, ...] = ()
    absence: Absence | None = None
    failed: bool = False
    interrupted: bool = False
    confidence: float | None = None

    @property
    def masks(self) -> tuple[SelectedMask, ...]:
        """The masks that answer the question."""
        return self.selection.masks

    @property
    def image(self) -> "Image.Image":
        """The image asked about (for a clip, the frame that `overlay` shows), upright RGB."""
        return self.selection.media.frame(self.selection.frame)

    @property
    def overlay_path(self) -> Path | None:
        """The saved overlay."""
        return self.selection.files.overlay if self.selection.files else None

    @property
    def masks_path(self) -> Path | None:
        """The saved masks, a COCO file."""
        return self.selection.files.masks if self.selection.files else None

    def overlay(self) -> "Image.Image":
        """The image with the masks highlighted and the rest dimmed; it says so if there are none."""
        return self.selection.overlay(f"{self._empty}: {self.query}")

    @property
    def _empty(self) -> str:
        return "no match" if self.status == "no_match" else "no answer"

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `sam3agent ask --json` prints them."""
        width, height = self.selection.media.size
        return {
            "query": self.query,
            "status": self.status,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "masks": [mask.to_json(on_clip=self.selection.media.count > 1) for mask in self.masks],
            **(self.absence.to_json() if self.absence else {}),
            "image": {"width": width, "height": height},
            "mllm_calls": self.costs.mllm_calls,
            "segmenter_calls": self.costs.segmenter_calls,
            "tokens": {"prompt": self.costs.usage.prompt_tokens, "completion": self.costs.usage.completion_tokens},
            "confidence": self.confidence,
            "elapsed_s": round(self.costs.elapsed_s, 3),
            "overlay": str(self.overlay_path) if self.overlay_path else None,
            **(
                {"clip": str(files.clip), "strip": str(files.strip)}
                if (files := self.selection.files) and files.clip
                else {}
            ),
            "trace": str(self.trace_path) if self.trace_path else None,
            "weights": self.weights,
            "backend": self.backend,
        }

    def save(self, folder: Path, file_name: str = "image") -> "Answer":
        """Write overlay.png and masks.json into a folder; see `Selection.save`."""
        return replace(self, selection=self.selection.save(folder, file_name, self.query, self._empty))


def _of_frame(media: Media, frame: int, on_clip: bool) -> dict[str, Any]:
    """What a COCO image says of its frame, if it is one of several."""
    return {"frame": frame, "time": round(media.time(frame), 6)} if on_clip else {}


def make_folder(folder: Path) -> Path:
    """Create a folder if it does not exist. Raises `InputError` if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return folder


@contextmanager
def fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    """Create the first of parent/NAME-1, NAME-2, … that does not exist, safely against other processes.

    It is removed again if nothing was written into it. Raises `InputError` if it cannot be created.
    """
    make_folder(parent)
    folder = next(path for n in itertools.count(1) if _claim(path := parent / f"{name}-{n}"))
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _claim(folder: Path) -> bool:
    """Create a folder; False if it exists."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return True
