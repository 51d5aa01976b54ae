"""What the product shows of the masks of one frame."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.frame_results import FrameResult
from sam3model.video.clip_outputs import FrameNaming, frame_result, record_frame
from sam3model.video.clip_tracker import TrackedFrame


def show(
    masks: Tensor,
    ids: Sequence[int],
    scores: Mapping[int, float],
    tracker_scores: Mapping[int, float],
    hidden: Collection[int] = (),
) -> FrameResult:
    """The result of masks (n, H, W) bool of the objects `ids`; a missing tracker score is 0."""
    trust = tuple(tracker_scores.get(one, 0.0) for one in ids)
    record = record_frame(TrackedFrame(0, tuple(ids), masks, trust, trust), scores, dict.fromkeys(ids, 0))
    height, width = masks.shape[1:]
    return frame_result(0, record, FrameNaming(0.0, (width, height), {0: "ball"}), hidden)


def full_masks(result: FrameResult) -> NDArray[np.bool_]:
    """Masks (n, H, W) of a result."""
    return result.instances().masks


def relative_xywh(result: FrameResult) -> NDArray[np.float32]:
    """Boxes (n, 4) as the official code has them: x, y and inclusive width and height, as fractions of the frame."""
    boxes = result.boxes.copy()
    boxes[:, 2:] -= boxes[:, :2] + 1
    return boxes / np.array([*result.size, *result.size], np.float32)
