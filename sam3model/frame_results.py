"""What the video predictor returns: the objects on one frame, with masks as run lengths, so that clips stay small."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3model.instances import Instances
from sam3model.ops.masks import decode_rle


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """The objects on one frame, in ascending order of their ids.

    frame: index of the frame in the source. time: seconds from the start. size: width and height in pixels.
    ids: (n,) int64, the same for an object on every frame and unique over phrases.
    boxes: (n, 4) float32 xyxy in pixels, around the whole mask before overlaps between objects are resolved.
    scores: (n,) float32, the detection score with which the object was found; 1 after a click, box or mask of a user.
    tracker_scores: (n,) float32, how sure the tracker is that the object is visible on this frame.
    masks: COCO compressed RLE of each object, `{"size": [height, width], "counts": str}`.
    phrases: the phrase that found each object; None for objects found by example boxes alone, or given by a user.
    """

    frame: int
    time: float
    size: tuple[int, int]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    tracker_scores: NDArray[np.float32]
    masks: tuple[dict[str, Any], ...]
    phrases: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """Full-size mask (H, W) bool of the object at `index`."""
        return decode_rle(self.masks[index])

    def instances(self) -> Instances:
        """The same with full-size masks; `phrase` is the one that all objects share, else None."""
        width, height = self.size
        masks = np.stack([self.mask(i) for i in range(len(self))]) if len(self) else np.zeros((0, height, width), bool)
        named = set(self.phrases)
        return Instances(masks, self.boxes, self.scores, named.pop() if len(named) == 1 else None, self.ids)
