"""One object per prompt, on encoded images: clicks, boxes and masks in, masks and their predicted IoUs out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.interactive.heads import InteractiveHeads, ObjectFeatures, ObjectPrompt
from sam3model.ops.masks import masks_at_size
from sam3model.ops.small_parts import small_parts

HOLE_AREA = 256
"""Maximum area of a hole that is filled, in pixels of the low-resolution mask."""

FILLED = 10.0
"""Logit of a filled hole."""

LOGIT_LIMIT = 32.0
"""Low-resolution logits are returned in -32..32, the range of mask prompts."""

OBJECT_BATCH = 16
"""Number of objects per forward pass; limits the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectMasks:
    """Masks of prompted objects, M for each: a single mask, or three candidates for an ambiguous prompt.

    masks (M, H, W) bool. ious (M,) float32, the predicted IoU of each mask, 0..1. low_res (M, h, w) float32 logits in
    -32..32; one of them, `low_res[i]`, can be the mask prompt of the next call. logits (M, H, W) float32, if asked for.
    After a prompt with a list of N objects, every array has N as its first dimension.
    """

    masks: NDArray[np.bool_]
    ious: NDArray[np.float32]
    low_res: NDArray[np.float32]
    logits: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.ious) if self.ious.ndim == 2 else 1

    def __getitem__(self, index: int) -> "ObjectMasks":
        """The masks of one object."""
        if self.ious.ndim == 1:
            return _each(self, lambda array: array[None])[index]
        return _each(self, lambda array: array[index])

    def __iter__(self) -> Iterator["ObjectMasks"]:
        """The objects in order."""
        return (self[index] for index in range(len(self)))

    @property
    def best(self) -> "ObjectMasks":
        """The mask with the highest predicted IoU of each object: M is 1."""
        place = self.ious.argmax(-1)[..., None]
        rows = (np.arange(len(place))[:, None],) if place.ndim > 1 else ()
        return _each(self, lambda array: array[(*rows, place)])


class ObjectFeatureCache:
    """The trunk output of one image until its first click, then the object features made from it. Thread-safe."""

    def __init__(self, trunk: Tensor) -> None:
        self._held: Tensor | ObjectFeatures = trunk
        self._lock = Lock()

    def get(self, compute: Callable[[Tensor], ObjectFeatures]) -> ObjectFeatures:
        """The features, computed from the trunk output (1, C, H, W) by the first call, which drops it."""
        with self._lock:
            if isinstance(self._held, Tensor):
                self._held = compute(self._held)
            return self._held


def predict_objects(
    heads: InteractiveHeads,
    features: ObjectFeatures,
    prompt: ObjectPrompt,
    size: tuple[int, int],
    *,
    multimask: bool,
    logits: bool = False,
) -> ObjectMasks:
    """Masks of N prompted objects in one image of `size` (width, height), whose features have a batch of 1.

    A prompt may have no points at all (K = 0) if it has masks.
    """
    embedding = heads.without_memory(features.embedding)
    parts = [
        _decode(heads, embedding, features, _rows(prompt, slice(start, start + OBJECT_BATCH)), multimask)
        for start in range(0, len(prompt.points), OBJECT_BATCH)
    ]
    low_res, ious = (torch.cat(part) for part in zip(*parts, strict=True))  # (N, M, h, w), (N, M)
    filled = fill_holes(low_res)
    width, height = size
    full = _upsampled(filled, size) if logits else None
    masks = masks_at_size(filled.flatten(0, 1), size).reshape(*ious.shape, height, width)
    limited = low_res.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    return ObjectMasks(masks, ious.cpu().numpy(), limited.cpu().numpy(), full)


def fill_holes(logits: Tensor) -> Tensor:
    """Mask logits (..., h, w) with `FILLED` in holes of at most `HOLE_AREA` pixels, 8-connected."""
    background = (logits <= 0).flatten(0, -3).cpu().numpy()
    holes = np.stack([small_parts(one, HOLE_AREA) for one in background])
    return logits.masked_fill(torch.from_numpy(holes).to(logits.device).view_as(logits), FILLED)


def _decode(
    heads: InteractiveHeads, embedding: Tensor, features: ObjectFeatures, prompt: ObjectPrompt, multimask: bool
) -> tuple[Tensor, Tensor]:
    """Low-resolution logits (N, M, h, w) and IoUs (N, M), in float32.

    Without any point the official image predictor has no prompt token, not even padding; `heads.decode` would add it.
    """
    encoder, decoder = heads.prompt_encoder, heads.mask_decoder
    sparse = encoder.encode_points(prompt.points, prompt.labels, pad=prompt.points.shape[1] > 0)
    dense = encoder.encode_mask(prompt.mask, len(sparse))
    decoded = decoder(embedding, encoder.dense_position(), sparse, dense, (features.fine, features.middle))
    if multimask:
        return decoded.masks[:, 1:].float(), decoded.ious[:, 1:]
    masks, ious = decoder.single_mask(decoded)
    return masks.float(), ious


def _rows(prompt: ObjectPrompt, rows: slice) -> ObjectPrompt:
    mask = None if prompt.mask is None else prompt.mask[rows]
    return replace(prompt, points=prompt.points[rows], labels=prompt.labels[rows], mask=mask)


def _upsampled(logits: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """Logits (N, M, h, w) -> (N, M, H, W), bilinear."""
    width, height = size
    return F.interpolate(logits, (height, width), mode="bilinear", align_corners=False).cpu().numpy()


def _each(found: ObjectMasks, change: Callable[[NDArray], NDArray]) -> ObjectMasks:
    logits = None if found.logits is None else change(found.logits)
    return ObjectMasks(change(found.masks), change(found.ious), change(found.low_res), logits)
