"""Prompts in pixels of an image: checked, and converted to what the model reads."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sam3model.errors import InputError
from sam3model.interactive.heads import ObjectPrompt
from sam3model.interactive.prompt_encoder import BOX_END, BOX_START
from sam3model.ops.boxes import xyxy_to_cxcywh
from sam3model.pixel_places import Size, check_points, clip_boxes
from sam3model.structures import GeometryPrompt


def check_threshold(threshold: float) -> None:
    """Raise `InputError` unless a minimum score is a number between 0 and 1."""
    try:
        fits = bool(0 <= threshold <= 1)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(f"the threshold is {threshold!r}: it must be between 0 and 1")


def geometry_prompt(
    boxes: ArrayLike | None,
    box_labels: ArrayLike | None,
    points: ArrayLike | None,
    point_labels: ArrayLike | None,
    size: Size,
) -> GeometryPrompt:
    """One prompt of exemplar boxes (n, 4) xyxy and points (m, 2) xy, with labels 1 (default) or 0, on the CPU.

    Raises:
        InputError: invalid shapes or labels, or boxes and points that `pixel_places` refuses.
    """
    box_array = _elements(boxes, 4, "box")
    point_array = _elements(points, 2, "point")
    box_signs = _signs(box_labels, (len(box_array),), "box")
    point_signs = _signs(point_labels, (len(point_array),), "point")
    box_array = clip_boxes(box_array, size)
    check_points(point_array, size)
    scale = torch.tensor(size, dtype=torch.float32)
    return GeometryPrompt(
        boxes=xyxy_to_cxcywh(torch.from_numpy(box_array) / scale.repeat(2)).unsqueeze(0),
        box_labels=torch.from_numpy(box_signs).unsqueeze(0),
        box_mask=torch.zeros(1, len(box_array), dtype=torch.bool),
        points=(torch.from_numpy(point_array) / scale).unsqueeze(0),
        point_labels=torch.from_numpy(point_signs).unsqueeze(0),
        point_mask=torch.zeros(1, len(point_array), dtype=torch.bool),
    )


@dataclass(frozen=True, slots=True)
class ObjectQuery:
    """Prompts of N objects in one image, on the CPU.

    prompt: its points are in pixels of the model input; there are none if only masks were given.
    several: whether the caller gave a list of objects, possibly of length 1.
    ambiguous: each object is described by a single click and nothing else.
    """

    prompt: ObjectPrompt
    several: bool
    ambiguous: bool


def object_query(
    points: ArrayLike | None,
    point_labels: ArrayLike | None,
    box: ArrayLike | None,
    mask: ArrayLike | None = None,
    *,
    size: Size,
    side: int,
    mask_side: int = 0,
) -> ObjectQuery:
    """Clicks, boxes and masks of one object or of N objects, as `Sam3ImagePredictor.predict_object` takes them.

    Args:
        size: of the image.
        side: of the model input in pixels.
        mask_side: of low-resolution masks in pixels; needed for `mask` only.

    Raises:
        InputError: no prompt, invalid shapes, labels or numbers, or boxes and points that `pixel_places` refuses.
    """
    clicks = _per_object(points, 2, (2,), "points are x,y in pixels, (K, 2), or (N, K, 2) for N objects")
    boxes = _per_object(box, 1, (4,), "a box is x0,y0,x1,y1 in pixels, (4,), or (N, 4) for N objects")
    tail = (1, mask_side, mask_side)
    masks = _per_object(mask, 3, tail, f"a mask prompt is a low_res mask of an earlier call, {tail}, or (N, ...) for N")
    several = _same_objects({"points": clicks, "box": boxes, "mask": masks})
    count = max(len(part.values) for part in (clicks, boxes, masks) if part is not None)
    xy = np.zeros((count, 0, 2), np.float32) if clicks is None else clicks.values
    labels = _signs(point_labels, xy.shape[:2] if several else xy.shape[1:2], "point").reshape(count, -1)
    check_points(xy, size)
    ambiguous = xy.shape[1] == 1 and boxes is None and masks is None
    if boxes is not None:
        xy = np.concatenate((clip_boxes(boxes.values, size).reshape(count, 2, 2), xy), axis=1)
        labels = np.concatenate((np.tile([BOX_START, BOX_END], (count, 1)), labels), axis=1)
    prompt = ObjectPrompt(
        points=torch.from_numpy(xy) / torch.tensor(size, dtype=torch.float32) * side,
        labels=torch.from_numpy(labels),
        mask=None if masks is None else torch.from_numpy(masks.values),
    )
    return ObjectQuery(prompt, several, ambiguous)


@dataclass(frozen=True, slots=True)
class _PerObject:
    """One kind of prompt for N objects: values (N, ...); `several` as in `ObjectQuery`."""

    values: NDArray[np.float32]
    several: bool


def _per_object(values: ArrayLike | None, one: int, tail: tuple[int, ...], form: str) -> _PerObject | None:
    """An array with `one` dimensions for one object (a missing first one is added), one more for N. None if empty."""
    try:
        array = np.asarray([] if values is None else values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(form) from error
    if not array.size:
        return None
    shape = array.shape
    array = array[None] if array.ndim == one - 1 else array
    if array.ndim not in (one, one + 1) or array.shape[array.ndim - len(tail) :] != tail:
        raise InputError(f"{form}, not {shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{form}: every number must be finite")
    several = array.ndim > one
    return _PerObject(array if several else array[None], several)


def _same_objects(parts: dict[str, _PerObject | None]) -> bool:
    """Whether the prompts are for several objects; all must be for the same number."""
    given = {name: part for name, part in parts.items() if part is not None}
    if not given:
        raise InputError("the prompt is empty: give points, a box or a mask")
    counts = {name: f"{len(part.values)} objects" if part.several else "one object" for name, part in given.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} for {count}" for name, count in counts.items())
        raise InputError(f"all prompts of a call must be for the same objects, not {listed}")
    return any(part.several for part in given.values())


def _elements(values: ArrayLike | None, width: int, what: str) -> NDArray[np.float32]:
    """Boxes or points as (n, width). A single one may be (width,); other shapes could be meant in several ways."""
    try:
        array = np.asarray([] if values is None else values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"each {what} needs {width} numbers, in pixels") from error
    if not array.size:
        return array.reshape(0, width)
    if array.ndim not in (1, 2) or array.shape[-1] != width:
        raise InputError(f"each {what} needs {width} numbers, in pixels: give (n, {width}), not {array.shape}")
    array = array.reshape(-1, width)
    if not np.isfinite(array).all():
        raise InputError(f"a {what} has a coordinate that is not finite")
    return array


def _signs(labels: ArrayLike | None, shape: tuple[int, ...], what: str) -> NDArray[np.int64]:
    """Labels of this shape, all 1 by default."""
    try:
        signs = np.ones(shape) if labels is None else np.asarray(labels)
    except ValueError as error:
        raise InputError(f"each {what} needs one label, 1 (positive) or 0 (negative)") from error
    if signs.shape != shape or not np.isin(signs, (0, 1)).all():
        raise InputError(f"each {what} needs one label, 1 (positive) or 0 (negative)")
    return signs.astype(np.int64)
