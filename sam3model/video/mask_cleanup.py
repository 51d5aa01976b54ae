"""Removal of small holes and specks from low-resolution masks."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam3model.ops.small_parts import small_parts

FILLED, ERASED = 0.1, -0.1
"""Logits of a filled hole and of an erased speck."""

DEVICE_AREA = 64
"""Largest area searched on an accelerator; larger ones are labelled on the CPU."""


def clean_masks(logits: Tensor, area: int, *, fill_holes: bool = True, remove_specks: bool = True) -> Tensor:
    """Fill holes and remove specks of at most `area` pixels, 8-connected, in masks (n, h, w) or (n, 1, h, w).

    Holes are filled first. A speck is also at most half of the foreground, so that a tiny object is never erased
    completely. An area of 0 changes nothing. Returns a new tensor of the same shape.
    """
    if area <= 0 or not logits.numel():
        return logits
    present = (logits > 0).view(-1, *logits.shape[-2:])
    if logits.device.type == "cpu" or area > DEVICE_AREA:
        holes, specks = _search_on_cpu(present, area, fill_holes, remove_specks)
    else:
        holes, specks = search_on_device(present, area, fill_holes, remove_specks)
    cleaned = logits.clone(memory_format=torch.contiguous_format)
    for places, value in ((holes, FILLED), (specks, ERASED)):
        cleaned.view(-1)[places] = value
    return cleaned


def _search_on_cpu(present: Tensor, area: int, fill_holes: bool, remove_specks: bool) -> tuple[Tensor, Tensor]:
    """Flat indices of the pixels of holes and of specks in masks (n, h, w) bool. Only what is near them is labelled."""
    masks = present.cpu().numpy()
    indices = np.arange(masks.size).reshape(masks.shape)
    holes, specks = [indices[:0].ravel()], [indices[:0].ravel()]
    for mask, index in zip(masks, indices, strict=True):
        window = _window(mask, area)
        if window is None:
            continue
        part = mask[window]
        if fill_holes:
            small = small_parts(~part, area)
            holes.append(index[window][small])
            part = part | small
        if remove_specks:
            specks.append(index[window][small_parts(part, min(area, int(part.sum()) // 2))])
    first, second = (torch.from_numpy(np.concatenate(found)).to(present.device) for found in (holes, specks))
    return first, second


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


def search_on_device(present: Tensor, area: int, fill_holes: bool, remove_specks: bool) -> tuple[Tensor, Tensor]:
    """As the search on a CPU, without leaving the device, and as masks (n * h * w,) bool instead of indices."""
    holes = specks = torch.zeros_like(present)
    if fill_holes:
        holes = _small_parts_on_device(~present, area, torch.full((len(present),), area, device=present.device))
        present = present | holes
    if remove_specks:
        areas = (present.flatten(1).sum(dim=1) // 2).clamp(max=area)
        specks = _small_parts_on_device(present, area, areas)
    return holes.flatten(), specks.flatten()


def _small_parts_on_device(masks: Tensor, steps: int, areas: Tensor) -> Tensor:
    """The pixels of connected parts of masks (n, h, w) bool with at most `areas` (n,) pixels, which is at most `steps`.

    Each pixel takes the highest pixel number within `steps` steps inside its part. In a small part that is the same
    number everywhere. In a larger part, a number has more than `steps` pixels or a neighbour with a higher one.
    """
    count, height, width = masks.shape
    inside = masks.float().unsqueeze(1)
    numbers = inside * torch.arange(1, height * width + 1, device=masks.device).view(1, 1, height, width)
    for _ in range(steps):
        numbers = F.max_pool2d(numbers, 3, stride=1, padding=1) * inside
    open_ = (F.max_pool2d(numbers, 3, stride=1, padding=1) * inside != numbers).flatten(1)
    labels = numbers.flatten(1).long()
    size = torch.zeros(count, height * width + 1, dtype=torch.int32, device=masks.device)
    size.scatter_add_(1, labels, torch.where(open_, steps + 1, 1).int())
    small = (size <= areas.unsqueeze(1)).gather(1, labels)
    return small.view_as(masks) & masks
