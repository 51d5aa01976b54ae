"""Matching of the detections of a frame with the objects that are already followed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.ops.masks import mask_iou
from sam3model.video.mask_extents import has_pixels


@dataclass(frozen=True, slots=True)
class Association:
    """Which detections and tracks belong together.

    new: indices of detections that start an object. unmatched: ids of tracks with a mask that no detection matches.
    empty: ids of tracks without a mask. matched: for each detection, the ids of the tracks that it overlaps; several
    tracks may share a detection. confident: for a track, the detection that is good enough to correct it.
    """

    new: tuple[int, ...] = ()
    unmatched: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()
    matched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    confident: Mapping[int, int] = field(default_factory=dict)


def associate(
    detections: Tensor, scores: NDArray[np.floating], tracks: Tensor, ids: Sequence[int], config: VideoConfig
) -> Association:
    """Match detections (n, h, w), which passed non-maximum suppression, with tracks (m, H, W); both are logits.

    `scores` (n,) are probabilities, `ids` (m,) the ids of the tracks. If there are no tracks, every detection is new,
    whatever its score.
    """
    if not len(tracks):
        return Association(new=tuple(range(len(detections))))
    if not len(detections):
        return _without_overlaps(tracks, ids)
    overlaps, visible = _overlaps(detections, tracks)
    scores = np.asarray(scores, np.float32)
    seen = _hungarian(overlaps, config) if config.one_to_one_matching else overlaps >= config.track_match_iou
    touches = overlaps >= config.match_iou
    new = (scores >= config.new_object_score) & ~touches.any(axis=1)
    sure = (scores >= config.confident_score) & ~new & (overlaps.max(axis=1) >= config.confident_iou)
    best = overlaps.argmax(axis=1)
    return Association(
        new=tuple(np.flatnonzero(new).tolist()),
        unmatched=_select(ids, visible & ~seen.any(axis=0)),
        empty=_select(ids, ~visible),
        matched={d: _select(ids, row) for d, row in enumerate(touches)},
        confident={int(ids[best[d]]): d for d in np.flatnonzero(sure).tolist()},  # of several, the last detection
    )


def mask_overlaps(first: Tensor, second: Tensor) -> NDArray[np.float32]:
    """IoU of every pair of masks (n, h, w) and (m, H, W), both logits: (n, m). The larger size is resized down."""
    return _overlaps(first, second)[0]


def _without_overlaps(tracks: Tensor, ids: Sequence[int]) -> Association:
    visible = has_pixels(tracks > 0).cpu().numpy()
    return Association(unmatched=_select(ids, visible), empty=_select(ids, ~visible))


def _overlaps(detections: Tensor, tracks: Tensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if detections.shape[-2:].numel() < tracks.shape[-2:].numel():
        tracks = _resize(tracks, detections.shape[-2:])
    elif detections.shape[-2:] != tracks.shape[-2:]:
        detections = _resize(detections, tracks.shape[-2:])
    present = tracks > 0
    return mask_iou(detections > 0, present).cpu().numpy(), has_pixels(present).cpu().numpy()


def _resize(logits: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(logits.unsqueeze(1), size=tuple(size), mode="bilinear", align_corners=False).squeeze(1)


def _hungarian(overlaps: NDArray[np.float32], config: VideoConfig) -> NDArray[np.bool_]:
    from scipy.optimize import linear_sum_assignment  # takes longer to import than many a clip to associate

    pairs = linear_sum_assignment(1 - overlaps)
    seen = np.zeros(overlaps.shape, bool)
    seen[pairs] = overlaps[pairs] >= config.track_match_iou
    return seen


def _select(ids: Sequence[int], chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(ids[i]) for i in np.flatnonzero(chosen).tolist())
