"""Hiding of the object that disappeared most recently when two objects overlap."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3model.ops.masks import mask_iou
from sam3model.video.concept_members import same_concept
from sam3model.video.mask_extents import has_pixels

NEVER = -1
REMOVED = 100_000
"""Last occluded frame of an object that the hotstart removed: later than any frame."""

HIDDEN_LOGIT = -10.0
"""Logit of all pixels of a hidden mask."""


@dataclass(frozen=True, slots=True, eq=False)
class OcclusionStep:
    """Result of one frame: masks (n, h, w), which of them were hidden (n,), and the last occluded frame of each id."""

    masks: Tensor
    hidden: NDArray[np.bool_]
    last_occluded: dict[int, int]


def hide_recently_occluded(
    masks: Tensor,
    ids: Sequence[int],
    last_occluded: Mapping[int, int],
    *,
    frame: int,
    iou: float,
    removed: Collection[int] = (),
    concepts: Sequence[int] | None = None,
    reverse: bool = False,
) -> OcclusionStep:
    """Of two masks that overlap by at least `iou`, hide the one that was occluded more recently.

    masks: (n, h, w) logits of the objects `ids`. last_occluded: the last frame on which an object was empty or hidden;
    an object that is not in it was never occluded, or counts as just occluded if it is in `removed`. An object can
    only be hidden by one that was occluded before; of two with the same frame, none is hidden. An `iou` of 0 turns the
    rule off, and nothing is recorded.
    """
    if iou <= 0:
        return OcclusionStep(masks, np.zeros(len(ids), bool), dict(last_occluded))
    last = np.array([last_occluded.get(i, REMOVED if i in removed else NEVER) for i in ids], np.int64)
    present = masks > 0
    hidden: NDArray[np.bool_] = np.zeros(len(ids), bool)
    if len(ids) > 1:
        overlapping = mask_iou(present, present).cpu().numpy() >= iou
        np.fill_diagonal(overlapping, False)
        later = last[:, None] < last[None] if reverse else last[:, None] > last[None]
        hidden[:] = (overlapping & same_concept(concepts, len(ids)) & later & (last > NEVER)).any(axis=1)
        if hidden.any():
            chosen = torch.from_numpy(hidden).to(masks.device)
            masks = torch.where(chosen[:, None, None], HIDDEN_LOGIT, masks)
    empty = ~has_pixels(present).cpu().numpy()
    last[hidden | empty] = frame
    return OcclusionStep(masks, hidden, dict(zip(map(int, ids), last.tolist(), strict=True)))
