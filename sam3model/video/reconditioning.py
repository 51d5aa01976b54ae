"""Correction of tracks by good detections: which objects are prompted again, and with which detection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.config import VideoConfig
from sam3model.ops.boxes import paired_iou
from sam3model.video.mask_extents import has_pixels, mask_extents


@dataclass(frozen=True, slots=True)
class Corrections:
    """prompts: id -> detection whose mask the tracker is prompted with.

    replaced: id -> detection whose mask is shown instead of the tracked one, because their boxes differ.
    """

    prompts: Mapping[int, int] = field(default_factory=dict)
    replaced: Mapping[int, int] = field(default_factory=dict)


def choose_corrections(
    confident: Mapping[int, int],
    scores: NDArray[np.floating],
    boxes: NDArray[np.floating],
    tracks: Tensor,
    ids: Sequence[int],
    score_logits: NDArray[np.floating],
    *,
    frame: int,
    config: VideoConfig,
) -> Corrections:
    """Decide which tracks to correct on a frame.

    confident: the detection of each track that may correct it. scores (n,), boxes (n, 4) xyxy as fractions of the
    image: of all detections. tracks (m, h, w), ids (m,), score_logits (m,): masks, ids and object score logits of all
    tracks. All confident pairs are used every `recondition_every` frames, counted from the start of the clip, and on a
    frame on which the box of one of them has an IoU with that of its detection below `recondition_box_iou`, if the
    detection scores at least `recondition_box_score`. The logit of the object score, not its probability, must be above
    `confident_score`.
    """
    if not confident:
        return Corrections()
    row = {int(i): k for k, i in enumerate(ids)}
    replaced = _different_boxes(confident, scores, boxes, tracks, row, config)
    periodic = config.recondition_every > 0 and frame % config.recondition_every == 0
    if not periodic and not replaced:
        return Corrections()
    logits = np.asarray(score_logits, np.float32)
    prompts = {i: d for i, d in confident.items() if logits[row[i]] > np.float32(config.confident_score)}
    return Corrections(prompts, replaced)


def correction_masks(logits: Tensor, side: int) -> Tensor:
    """Detection masks (n, h, w) logits as mask prompts (n, side, side) bool."""
    resized = F.interpolate(logits.float().unsqueeze(1), size=(side, side), mode="bilinear", align_corners=False)
    return resized.squeeze(1) > 0


def with_replacements(tracks: Tensor, ids: Sequence[int], corrections: Corrections, detections: Tensor) -> Tensor:
    """Masks to show of the objects `ids`, (m, h, w): those of detections (n, h, w) in place of some tracked ones."""
    if not corrections.replaced:
        return tracks
    masks = tracks.clone()
    for object_id, index in corrections.replaced.items():
        masks[ids.index(object_id)] = detections[index]
    return masks


def _different_boxes(
    confident: Mapping[int, int],
    scores: NDArray[np.floating],
    boxes: NDArray[np.floating],
    tracks: Tensor,
    row: Mapping[int, int],
    config: VideoConfig,
) -> dict[int, int]:
    max_iou, min_score = config.recondition_box_iou, config.recondition_box_score
    if max_iou <= 0:
        return {}
    masks = tracks[[row[i] for i in confident]] > 0
    height, width = masks.shape[-2:]
    tracked = mask_extents(masks).cpu().float() / torch.tensor([width, height, width, height], dtype=torch.float32)
    detected = torch.from_numpy(np.asarray(boxes, np.float32)[list(confident.values())])
    low = (paired_iou(detected, tracked) < max_iou) & has_pixels(masks).cpu()
    good = np.asarray(scores, np.float32) >= np.float32(min_score)
    return {i: d for (i, d), differs in zip(confident.items(), low.tolist(), strict=True) if differs and good[d]}
