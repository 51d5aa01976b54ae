"""From the masks of a frame to what is shown: visible objects in order of their ids, without overlaps."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.video.full_size_masks import full_size_masks
from sam3model.video.mask_extents import has_pixels, mask_extents
from sam3model.video.overlap import resolve_by_score

__all__ = ["FrameOutput", "frame_output", "full_size_masks", "relative_xywh"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameOutput:
    """The objects shown on a frame, in ascending order of their ids.

    ids: (n,) int64. boxes: (n, 4) int64, x0, y0, x1, y1 in pixels, both ends inclusive, around the mask before overlaps
    were resolved. scores: (n,) float32, detection scores at birth. tracker_scores: (n,) float32 probabilities on this
    frame, 0 if there is none. masks: (n, H, W) bool, disjoint within a group; a mask may have lost all its pixels.
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.int64]
    scores: NDArray[np.float32]
    tracker_scores: NDArray[np.float32]
    masks: Tensor


def frame_output(
    masks: Tensor,
    ids: Sequence[int],
    scores: Mapping[int, float],
    tracker_scores: Mapping[int, float],
    *,
    hidden: Collection[int] = (),
    groups: Sequence[int] | None = None,
) -> FrameOutput:
    """Choose and order the masks (n, H, W) bool of the objects `ids`, and resolve their overlaps.

    Empty masks and the ids in `hidden` (removed, suppressed or not yet confirmed) are left out. Where masks of one
    group overlap, the pixel goes to the object with the higher tracker score; an object without tracker score loses
    all its pixels, unless it is the only one of the frame.
    """
    boxes, visible = mask_extents(masks).cpu().numpy(), has_pixels(masks).tolist()
    order = [i for i in sorted(range(len(ids)), key=lambda i: ids[i]) if visible[i] and ids[i] not in hidden]
    shown = [int(ids[i]) for i in order]
    confidence = [tracker_scores.get(i, 0.0) for i in shown]
    if len(shown) > 1:
        own = None if groups is None else [groups[i] for i in order]
        chosen = resolve_by_score([masks[i] for i in order], confidence, own, boxes[order].tolist())
    else:
        chosen = masks[order]
    return FrameOutput(
        np.array(shown, np.int64),
        boxes[order],
        np.array([scores[i] for i in shown], np.float32),
        np.array(confidence, np.float32),
        chosen,
    )


def relative_xywh(boxes: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.float32]:
    """Inclusive boxes (n, 4) in pixels -> x, y, width, height as fractions of `size` (width, height), as released.

    >>> relative_xywh(np.array([[2, 0, 6, 3]]), (8, 4)).tolist()
    [[0.25, 0.0, 0.5, 0.75]]
    """
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    sides = np.array([*size, *size], np.float32)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1) / sides
