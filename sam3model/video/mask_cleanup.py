"""Removal of small holes and specks from low-resolution masks."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

FILLED, ERASED = 0.1, -0.1
"""Logits of a filled hole and of an erased speck."""

_EIGHT_CONNECTED = np.ones((3, 3), int)


def clean_masks(logits: Tensor, area: int, *, fill_holes: bool = True, remove_specks: bool = True) -> Tensor:
    """Fill holes and remove specks of at most `area` pixels, 8-connected, in masks (n, h, w) or (n, 1, h, w).

    Holes are filled first. A speck is also at most half of the foreground, so that a tiny object is never erased
    completely. An area of 0 changes nothing. Returns a new tensor of the same shape.
    """
    if area <= 0 or not logits.numel():
        return logits
    before = (logits > 0).reshape(-1, *logits.shape[-2:]).cpu().numpy()
    holes, specks = np.zeros_like(before), np.zeros_like(before)
    for index, mask in enumerate(before):
        window = _window(mask, area)
        if window is None:
            continue
        part = mask[window]
        if fill_holes:
            holes[index][window] = small = _small_parts(~part, area)
            part = part | small
        if remove_specks:
            specks[index][window] = _small_parts(part, min(area, int(part.sum()) // 2))
    return _write(_write(logits, holes, FILLED), specks, ERASED)


def _window(mask: NDArray[np.bool_], area: int) -> tuple[slice, slice] | None:
    """The part of a mask that may change: its bounding box, so far enlarged that what is cut off is no small part."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None if mask.size > area else (slice(None), slice(None))
    margin = area + 1
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _small_parts(mask: NDArray[np.bool_], area: int) -> NDArray[np.bool_]:
    """The pixels of connected parts of at most `area` pixels."""
    if not area:
        return np.zeros_like(mask)
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, _EIGHT_CONNECTED, output=labels)
    small = np.bincount(labels.ravel()) <= area
    small[0] = False  # label 0 is what lies outside the mask
    return small[labels]


def _write(logits: Tensor, where: NDArray[np.bool_], value: float) -> Tensor:
    if not where.any():
        return logits
    chosen = torch.from_numpy(where).to(logits.device).reshape(logits.shape)
    return torch.where(chosen, torch.tensor(value, dtype=logits.dtype, device=logits.device), logits)
