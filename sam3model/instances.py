"""What the predictor answers with: masks, boxes and scores in the pixels of the original picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.ops.masks import encode_rle

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Instances of one prompt in one picture, in the order of the model's queries.

    masks (n, H, W) bool; boxes (n, 4) float32 xyxy pixels, as the model gives them (they may leave the picture a
    little); scores (n,) float32 in 0..1; phrase is what was asked, None where boxes or points alone were.
    """

    masks: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    phrase: str | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: int | Sequence[int] | NDArray[Any] | slice) -> "Instances":
        """A selection, by a position, a list of positions, a boolean array or a slice."""
        chosen = index if isinstance(index, slice) else np.atleast_1d(index)
        if isinstance(chosen, np.ndarray) and not chosen.size:
            chosen = chosen.astype(np.intp)  # an empty list has no type of its own
        return Instances(self.masks[chosen], self.boxes[chosen], self.scores[chosen], self.phrase)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
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
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "score": score,
                "segmentation": rle,
            }
            for (x0, y0, x1, y1), score, rle in rows
        ]

    def to_supervision(self, class_id: int = 0) -> "supervision.Detections":
        """`supervision.Detections` with xyxy, mask, confidence, class_id and `data["class_name"]`.

        Raises:
            InputError: supervision is not installed, or not completely.
        """
        try:
            import supervision
        except ImportError as error:
            raise InputError(f"supervision cannot be imported ({error}): pip install supervision") from error
        data: Mapping[str, Any] = {"class_name": np.array([self.phrase or "object"] * len(self))}
        return supervision.Detections(
            xyxy=self.boxes,
            mask=self.masks,
            confidence=self.scores,
            class_id=np.full(len(self), class_id),
            data=dict(data),
        )


def no_instances(size: tuple[int, int], phrase: str | None = None) -> Instances:
    """An empty answer for a picture of `size` (width, height)."""
    width, height = size
    return Instances(
        np.zeros((0, height, width), dtype=bool),
        np.zeros((0, 4), dtype=np.float32),
        np.zeros(0, dtype=np.float32),
        phrase,
    )
