"""What users give to a session, checked and brought into the model's coordinates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sam3model.errors import InputError
from sam3model.interactive.prompt_encoder import BOX_END, BOX_START
from sam3model.ops.boxes import xyxy_to_cxcywh
from sam3model.ops.masks import decode_rle
from sam3model.structures import GeometryPrompt
from sam3model.tracker.group import Clicks
from sam3model.tracker.tracker_model import CERTAIN, upsample_mask


def clicks_of(
    points: ArrayLike | None, labels: ArrayLike | None, box: ArrayLike | None, size: tuple[int, int], side: int
) -> Clicks:
    """Points and a box in pixels of a frame of `size` (width, height), as points of the model input of this side.

    Raises:
        InputError: neither points nor a box, wrong shapes or labels, or a place outside the frame.
    """
    if points is None and box is None:
        raise InputError("the prompt is empty: give points or a box")
    places = _numbers([] if points is None else points, 2, "point")
    signs = _numbers([] if labels is None else labels, 1, "label").ravel()
    if len(signs) != len(places) or not np.isin(signs, (0, 1)).all():
        raise InputError("each point needs one label, 1 (inside the object) or 0 (outside)")
    if box is not None:
        corners = _boxes(box, size).reshape(-1, 2)
        if len(corners) != 2:
            raise InputError("give one box, x0,y0,x1,y1, for one object")
        places, signs = np.concatenate((corners, places)), np.concatenate(([BOX_START, BOX_END], signs))
    if not len(places):
        raise InputError("the prompt is empty: give points or a box")
    _check_inside(places, size)
    scale = np.float32(side) / np.asarray(size, np.float32)
    return Clicks(torch.from_numpy(places * scale), torch.from_numpy(signs.astype(np.int64)))


def exemplars_of(
    boxes: ArrayLike, labels: ArrayLike | None, size: tuple[int, int], phrase: str | None = None
) -> GeometryPrompt:
    """Exemplar boxes (n, 4) xyxy in pixels as one normalised prompt.

    Raises:
        InputError: no box, or invalid boxes or labels.
    """
    corners = _boxes(boxes, size)
    signs = np.ones(len(corners)) if labels is None else _numbers(labels, 1, "label").ravel()
    if not len(corners) or len(signs) != len(corners) or not np.isin(signs, (0, 1)).all():
        raise InputError("give at least one box, and for each a label, 1 (like this) or 0 (not like this)")
    if not signs.any() and phrase is None:
        raise InputError("counter-examples alone say nothing: give a box with label 1 too, or a phrase")
    prompt = GeometryPrompt.blank(1, boxes=len(corners))
    prompt.boxes[0] = xyxy_to_cxcywh(torch.from_numpy(corners / np.asarray(size * 2, np.float32)))
    prompt.box_labels[0] = torch.from_numpy(signs.astype(np.int64))
    prompt.box_mask[:] = False
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


def _numbers(values: ArrayLike, width: int, what: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float32).reshape(-1, width)
    except (TypeError, ValueError) as error:
        raise InputError(f"each {what} needs {width} number{'s' * (width > 1)}") from error
    if not np.isfinite(array).all():
        raise InputError(f"a {what} has a number that is not finite")
    return array


def _boxes(values: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    boxes = _numbers(values, 4, "box")
    if np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise InputError("a box must be x0,y0,x1,y1 with x1 > x0 and y1 > y0")
    inside = np.clip(boxes, 0, np.asarray(size * 2, np.float32))
    if np.any(inside[:, 2:] <= inside[:, :2]):
        raise InputError(f"a box is outside the frame of {size[0]}x{size[1]} pixels")
    return inside


def _check_inside(places: np.ndarray, size: tuple[int, int]) -> None:
    """Places may lie on the border of the frame, since boxes end there."""
    outside = ((places < 0) | (places > np.asarray(size, np.float32))).any(axis=1)
    if outside.any():
        x, y = places[outside][0]
        raise InputError(f"{x:g},{y:g} is outside the frame of {size[0]}x{size[1]} pixels")
