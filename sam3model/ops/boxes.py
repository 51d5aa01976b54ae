"""Box formats, areas and overlaps. Values and gradients are finite for boxes of zero area."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BOX_JITTER = 0.05
"""Largest shift of a coordinate of an exemplar box, as a fraction of the box's width or height."""


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Centre and size to corners, (..., 4) -> (..., 4)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - 0.5 * size, centre + 0.5 * size), dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Corners to centre and size, (..., 4) -> (..., 4)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) * 0.5, high - low), dim=-1)


def xyxy_to_xywh(box: Sequence[float]) -> list[float]:
    """Corners of one box to the COCO format: x0, y0, width, height."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def jitter_box(box: NDArray[np.floating], shifts: NDArray[np.floating]) -> NDArray[np.floating]:
    """An exemplar box (4,) cxcywh as a user might draw it; `shifts` (4,) are fractions of its width and height."""
    return box + shifts * np.tile(box[2:], 2)


def box_area(boxes: Tensor) -> Tensor:
    """Areas of corner boxes, (..., 4) -> (...); an inverted box has area 0."""
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return size[..., 0] * size[..., 1]


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of corner boxes, elementwise with broadcasting: (..., 4), (..., 4) -> (...). An empty union gives 0."""
    intersection, union = _intersection_union(a, b)
    return _safe_ratio(intersection, union)


def paired_giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of corner boxes (arXiv 1902.09630), elementwise with broadcasting: (..., 4), (..., 4) -> (...).

    An enclosing box of zero area adds no penalty: two equal points give 0.
    """
    intersection, union = _intersection_union(a, b)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0)
    hull = hull[..., 0] * hull[..., 1]
    return _safe_ratio(intersection, union) - _safe_ratio(hull - union, hull)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every pair of corner boxes: (..., N, 4), (..., M, 4) -> (..., N, M)."""
    return paired_iou(a.unsqueeze(-2), b.unsqueeze(-3))


def generalized_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of every pair of corner boxes: (..., N, 4), (..., M, 4) -> (..., N, M)."""
    return paired_giou(a.unsqueeze(-2), b.unsqueeze(-3))


def inverse_sigmoid(x: Tensor, eps: float = 1e-3) -> Tensor:
    """Logit of a probability, with x and 1 - x clamped to at least `eps`: (...) -> (...)."""
    x = x.clamp(0, 1)
    return (x.clamp(min=eps) / (1 - x).clamp(min=eps)).log()


def _intersection_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    intersection = size[..., 0] * size[..., 1]
    return intersection, box_area(a) + box_area(b) - intersection


def _safe_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, or 0 with zero gradient if the denominator is not positive."""
    positive = denominator > 0
    return torch.where(positive, numerator / torch.where(positive, denominator, 1), 0)
