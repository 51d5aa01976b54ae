"""A recorded question again: its answer drawn from the trace, or its states run anew on the recorded replies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam3agent.agent.pool import Mask
from sam3agent.segmenter import InstancesLike, Prompt, SegmenterSession
from sam3model.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False, slots=True)
class _Recorded:
    """What one phrase found."""

    masks: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


class RecordedSegmenter:
    """Answers each phrase with the masks that it found when the trace was written."""

    def __init__(self, records: Records) -> None:
        self.name = str(records[0]["weights"])
        self._found: dict[str, list[tuple[Mask, float]]] = {}
        for record in records:
            if record["event"] == "tool" and record["name"] == "segment_phrase":
                self._remember(record)

    def open(self, image: "Image.Image") -> SegmenterSession:
        """A session that ignores the picture."""
        width, height = image.size
        return _RecordedSession(self._found, (height, width))

    def _remember(self, record: Mapping[str, Any]) -> None:
        masks = recorded_masks([record])
        for search in record["data"]["searches"]:
            scores = {mask["id"]: dict(map(tuple, mask["phrases"])) for mask in record["masks"]}
            self._found[search["phrase"]] = [
                (masks[m["id"]], scores[m["id"]][search["phrase"]]) for m in search["masks"] if m["id"] in masks
            ]


class _RecordedSession:
    def __init__(self, found: Mapping[str, list[tuple[Mask, float]]], size: tuple[int, int]) -> None:
        self._found = found
        self._size = size

    def segment_phrases(self, phrases: Sequence[str], threshold: float | None = None) -> Sequence[InstancesLike]:
        return [self._instances(phrase, threshold or 0.0) for phrase in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None) -> InstancesLike:
        raise InputError("a trace holds no prompts of boxes or points")

    def _instances(self, phrase: str, threshold: float) -> InstancesLike:
        found = [(mask, score) for mask, score in self._found.get(phrase, []) if score >= threshold]
        masks = np.array([mask.full() for mask, _ in found], dtype=bool).reshape(-1, *self._size)
        boxes = np.array([mask.box for mask, _ in found], dtype=np.float32).reshape(-1, 4)
        return _Recorded(masks, boxes, np.array([score for _, score in found], np.float32))


def recorded_masks(records: Records) -> dict[int, Mask]:
    """Every mask of a trace by its id."""
    written = (mask for record in records if record["event"] == "tool" for mask in record["masks"])
    return {mask["id"]: stored for mask in written if (stored := Mask.from_rle(mask["rle"]))}


def recorded_picture(records: Records, trace: Path) -> Path:
    """The copy of the picture beside a trace; raises `InputError` where it is gone."""
    folder = trace if trace.is_dir() else trace.parent
    picture = folder / records[0]["picture"]
    if not picture.is_file():
        raise InputError(f"the picture of the trace is missing: {picture}")
    return picture
