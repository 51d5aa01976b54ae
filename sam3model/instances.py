"""Predictions: masks, boxes and scores in pixels of the original image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.ops.boxes import xyxy_to_xywh
from sam3model.ops.masks import encode_rle

if TYPE_CHECKING:
    import supervision  # pyright: ignore[reportMissingImports]


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Instances of one prompt in one image, in the order of the model's queries.

    masks (n, H, W) bool. boxes (n, 4) float32, xyxy in pixels, as predicted: they may reach outside the image.
    scores (n,) float32 in 0..1. phrase is None for prompts of boxes or points alone. ids (n,) int64 identify objects
    across frames; None for a single image.
    """

    masks: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    phrase: str | None = None
    ids: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: int | Sequence[int] | NDArray[Any] | slice) -> "Instances":
        """Select by an index, a list of indices, a boolean array or a slice."""
        chosen = index if isinstance(index, slice) else np.atleast_1d(index)
        if isinstance(chosen, np.ndarray) and not chosen.size:
            chosen = chosen.astype(np.intp)  # an empty list becomes a float array
        ids = None if self.ids is None else self.ids[chosen]
        return Instances(self.masks[chosen], self.boxes[chosen], self.scores[chosen], self.phrase, ids)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        height, width = self.masks.shape[1:]
        return width, height

    def to_coco_rle(self) -> list[dict[str, Any]]:
        """The masks as COCO compressed RLE: `{"size": [height, width], "counts": str}` each."""
        return [encode_rle(mask) for mask in self.masks]

    def to_coco_results(self, image_id: int, category_id: int) -> list[dict[str, Any]]:
        """Rows of a COCO results file: `image_id, category_id, bbox (xywh), score, segmentation`."""
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.to_coco_rle(), strict=True)
        return [
            {
                "image_id": image_id,
                "category_id": category_id,
                "bbox": xyxy_to_xywh(box),
                "score": score,
                "segmentation": rle,
            }
            for box, score, rle in rows
        ]

    def to_supervision(self, class_id: int = 0) -> "supervision.Detections":
        """`supervision.Detections` with xyxy, mask, confidence, class_id, tracker_id and `data["class_name"]`.

        Raises:
            InputError: supervision cannot be imported.
        """
        try:
            import supervision  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise InputError(f"supervision cannot be imported ({error}): pip install supervision") from error
        return supervision.Detections(
            xyxy=self.boxes,
            mask=self.masks,
            confidence=self.scores,
            class_id=np.full(len(self), class_id),
            tracker_id=self.ids,
            data={"class_name": np.array([self.phrase or "object"] * len(self))},
        )

    @classmethod
    def from_supervision(cls, detections: "supervision.Detections", size: tuple[int, int] | None = None) -> "Instances":
        """The inverse of `to_supervision`: `tracker_id` becomes `ids`, a class name that all share the phrase.

        Missing confidences become 1. `size` (width, height) is needed for empty detections without masks.

        Raises:
            InputError: the detections have no masks.
        """
        if detections.mask is None:
            if len(detections) or size is None:
                raise InputError("these detections have no masks: use those of a segmentation model")
            return no_instances(size)
        names = {str(name) for name in detections.data.get("class_name", ())}
        confidence, ids = detections.confidence, detections.tracker_id
        return cls(
            masks=np.asarray(detections.mask, dtype=bool),
            boxes=np.asarray(detections.xyxy, dtype=np.float32),
            scores=np.asarray(np.ones(len(detections)) if confidence is None else confidence, dtype=np.float32),
            phrase=names.pop() if len(names) == 1 else None,
            ids=None if ids is None else np.asarray(ids, dtype=np.int64),
        )


def no_instances(size: tuple[int, int], phrase: str | None = None) -> Instances:
    """An empty prediction for an image of `size` (width, height)."""
    width, height = size
    return Instances(
        np.zeros((0, height, width), dtype=bool),
        np.zeros((0, 4), dtype=np.float32),
        np.zeros(0, dtype=np.float32),
        phrase,
    )
