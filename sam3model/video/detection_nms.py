"""Non-maximum suppression of the masks that the detector finds on a frame."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sam3model.ops.masks import mask_iou


def keep_detections(masks: Tensor, scores: Tensor, min_score: float, max_iou: float) -> NDArray[np.int64]:
    """Indices (k,) of the detections to keep, ascending, of masks (n, h, w) logits and scores (n,) probabilities.

    A detection needs a score above `min_score`, and an IoU of at most `max_iou` with every kept detection that has a
    higher score. Of equal scores, the later detection counts as higher, as in the official CPU code.
    """
    candidates = (scores > min_score).nonzero().flatten()
    if not len(candidates):
        return np.zeros(0, np.int64)
    present = masks[candidates] > 0
    clashes = (mask_iou(present, present) > max_iou).cpu().numpy()
    open_ = np.ones(len(candidates), bool)
    kept: list[int] = []
    for index in np.argsort(scores[candidates].float().cpu().numpy(), kind="stable")[::-1].tolist():
        if open_[index]:
            kept.append(index)
            open_ &= ~clashes[index]
    return candidates.cpu().numpy()[sorted(kept)]
