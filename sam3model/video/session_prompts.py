"""What users give to a session, checked and brought into the model's coordinates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sam3model.errors import InputError
from sam3model.ops.masks import decode_rle
from sam3model.pixel_prompts import geometry_prompt, object_query
from sam3model.structures import GeometryPrompt
from sam3model.tracker.group import Clicks
from sam3model.tracker.tracker_model import CERTAIN, upsample_mask


def clicks_of(
    points: ArrayLike | None, labels: ArrayLike | None, box: ArrayLike | None, size: tuple[int, int], side: int
) -> Clicks:
    """Points and a box in pixels of a frame of `size` (width, height), as points of the model input of this side.

    Raises:
        InputError: what `object_query` refuses, or prompts of several objects.
    """
    prompt = object_query(points, labels, box, size=size, side=side).prompt
    if len(prompt.points) > 1:
        raise InputError("give the points and the box of one object at a time")
    return Clicks(prompt.points[0], prompt.labels[0])


def exemplars_of(
    boxes: ArrayLike, labels: ArrayLike | None, size: tuple[int, int], phrase: str | None = None
) -> GeometryPrompt:
    """Exemplar boxes (n, 4) xyxy in pixels as one normalised prompt.

    Raises:
        InputError: no box, what `geometry_prompt` refuses, or counter-examples without anything to look for.
    """
    prompt = geometry_prompt(boxes, labels, None, None, size)
    if not prompt.boxes.shape[1]:
        raise InputError("the prompt is empty: give at least one box")
    if not prompt.box_labels.any() and phrase is None:
        raise InputError("counter-examples alone say nothing: give a box with label 1 too, or a phrase")
    return prompt


def mask_of(mask: ArrayLike, size: tuple[int, int]) -> Tensor:
    """A mask (H, W) of a frame of `size` (width, height) as float. Raises `InputError` for another shape."""
    try:
        array = np.asarray(mask)
        array = array if array.dtype == bool else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("a mask must be an array of booleans or numbers") from error
    if array.ndim != 2 or array.shape != size[::-1]:
        raise InputError(f"the mask has shape {array.shape}, but a frame has {size[::-1]} (height, width)")
    if np.isnan(array).any():
        raise InputError("the mask has values that are not numbers (NaN)")
    return torch.from_numpy(np.ascontiguousarray(array > 0, np.float32))


def previous_mask(rle: Mapping[str, Any], side: int) -> Tensor:
    """A mask that was shown, as low-resolution logits (1, 1, side, side) for a correction."""
    full = torch.from_numpy(decode_rle(rle)).float()[None, None]
    return upsample_mask(2 * CERTAIN * full - CERTAIN, (side, side))
