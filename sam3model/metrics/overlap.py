"""IoU of masks and boxes, for all metrics.

Masks are COCO RLE dictionaries (`size` [height, width], `counts` compressed str or bytes); pycocotools intersects their
runs without decoding. Boxes are xywh in any unit, as in COCO files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pycocotools import mask

from sam3model.errors import MetricError
from sam3model.ops.masks import encode_rle

coco_mask: Any = mask  # its type stubs do not support numpy boxes
Rle = Mapping[str, Any]
FloatArray = NDArray[np.float64]

IOU_THRESHOLDS: FloatArray = np.linspace(0.5, 0.95, 10)
IOU_THRESHOLDS.setflags(write=False)


def rle_iou(a: Sequence[Rle], b: Sequence[Rle], crowd: Sequence[bool] | None = None) -> FloatArray:
    """Pairwise IoU of two lists of masks, (len(a), len(b)).

    crowd: per mask of `b`; the denominator for a crowd is the area of the mask of `a` (COCO rule).
    Two empty masks have IoU 0. Raises `MetricError` if a mask is invalid or sizes differ.

    >>> one = coco_mask.encode(np.asfortranarray(np.eye(4, dtype=np.uint8)))
    >>> rle_iou([one], [one]).tolist()
    [[1.0]]
    """
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    flags = [0] * len(b) if crowd is None else [int(c) for c in crowd]
    if odd := {type(m).__name__ for masks in (a, b) for m in masks if not isinstance(m, Mapping)}:
        raise MetricError(f"a mask must be COCO RLE, not {min(odd)}")
    try:
        size = a[0]["size"]
        for other in (m["size"] for masks in (a, b) for m in masks if m["size"] != size):
            if tuple(other) != tuple(size):
                raise MetricError(f"masks of size {list(size)} and {list(other)} cannot be compared")
        return np.asarray(coco_mask.iou(list(a), list(b), flags), np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise MetricError(f"cannot read a mask as COCO RLE: {error}") from error


def box_iou_xywh(a: ArrayLike, b: ArrayLike, crowd: Sequence[bool] | None = None) -> FloatArray:
    """Pairwise IoU of xywh boxes, (N, 4) and (M, 4) -> (N, M); crowd as in `rle_iou`.

    Raises `MetricError` if a coordinate is NaN or infinite.

    >>> box_iou_xywh([[0, 0, 2, 2]], [[0, 0, 2, 1], [5, 5, 1, 1]]).tolist()
    [[0.5, 0.0]]
    """
    try:
        left, right = (np.ascontiguousarray(x, np.float64).reshape(-1, 4) for x in (a, b))
    except (TypeError, ValueError) as error:
        raise MetricError(f"boxes must be four numbers each: {error}") from error
    for boxes in (left, right):
        if not np.isfinite(boxes).all():
            number = int(np.flatnonzero(~np.isfinite(boxes).all(1))[0])
            raise MetricError(f"box {number} has a coordinate that is not finite: {boxes[number].tolist()}")
    if not len(left) or not len(right):
        return np.zeros((len(left), len(right)))
    flags = [0] * len(right) if crowd is None else [int(c) for c in crowd]
    return np.asarray(coco_mask.iou(left, right, flags), np.float64)


def iou_matrix(kind: str, a: Sequence[Any], b: Sequence[Any], crowd: Sequence[bool] | None = None) -> FloatArray:
    """`rle_iou` for kind "segm", `box_iou_xywh` for kind "bbox"."""
    return (rle_iou if kind == "segm" else box_iou_xywh)(a, b, crowd)


def finite_scores(scores: ArrayLike, what: str = "") -> FloatArray:
    """Scores (N,). what: whose scores, for the error. Raises `MetricError` if one is NaN, infinite or not a number."""
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MetricError(f"{what + ': ' if what else ''}scores must be numbers: {error}") from error
    if not np.isfinite(values).all():
        number = int(np.flatnonzero(~np.isfinite(values.ravel()))[0])
        raise MetricError(
            f"{what + ': ' if what else ''}score {number} is {values.ravel()[number]}, not a finite number"
        )
    return values


def check_kind(kind: str) -> str:
    """Return `kind`. Raises `MetricError` if it is not "segm" or "bbox"."""
    if kind not in ("segm", "bbox"):
        raise MetricError(f'iou_type must be "segm" or "bbox", not {kind!r}')
    return kind


def geometry_field(kind: str) -> str:
    """Field of a COCO entry with the geometry of this kind."""
    return "segmentation" if kind == "segm" else "bbox"


def rle_areas(masks: Sequence[Rle]) -> NDArray[np.int64]:
    """Areas of a list of masks in pixels, (N,)."""
    # pycocotools overflows for more than 255 masks
    parts = [coco_mask.area(list(masks[i : i + 255])) for i in range(0, len(masks), 255)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def as_rle(mask: Rle | NDArray[Any]) -> Rle:
    """Encode the non-zero pixels of an array (H, W); an RLE is returned as is. Raises `MetricError`."""
    if isinstance(mask, Mapping):
        return mask
    if np.ndim(mask) != 2:
        raise MetricError(
            f"a mask must be COCO RLE or an array (height, width), not an array of shape {np.shape(mask)}"
        )
    return encode_rle(np.asarray(mask) != 0)


def common_area(*masks: Rle) -> int:
    """Area of the intersection of all masks in pixels. Raises `MetricError` if sizes differ."""
    if len({tuple(m["size"]) for m in masks}) > 1:
        raise MetricError(f"masks of different sizes cannot be compared: {[list(m['size']) for m in masks]}")
    return int(coco_mask.area(coco_mask.merge(list(masks), intersect=True)))
