"""RoI align and bilinear point sampling, as two small matrix products.

A bilinear sample is a weighted sum of cells whose weights are products of a row weight and a column weight. The samples
of a region form a grid, so their mean is separable too.
"""

import torch
from torch import Tensor


def roi_align(features: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Mean features of a `size` x `size` grid of bins over each region (Mask R-CNN, arXiv 1703.06870).

    features (P or 1, H, W, C); boxes (P, N, 4) as xyxy in cells; returns (P, N, C, size, size).
    As torchvision with `sampling_ratio=-1, aligned=False`: adaptive number of samples, no half-cell offset, regions at
    least one cell wide, and samples more than one cell outside the map count as zero.
    """
    prompts, number = boxes.shape[:2]
    _, height, width, channels = features.shape
    rows = _bin_weights(boxes[..., 1], boxes[..., 3], height, size).to(features.dtype)  # (P, N, size, H)
    columns = _bin_weights(boxes[..., 0], boxes[..., 2], width, size).to(features.dtype)  # (P, N, size, W)
    pooled = torch.matmul(rows.flatten(1, 2), features.flatten(2))  # (P, N*size, W*C)
    pooled = pooled.view(prompts, number, size, width, channels)
    pooled = torch.matmul(columns.unsqueeze(2), pooled)  # (P, N, size, size, C)
    return pooled.permute(0, 1, 4, 2, 3)


def sample_points(features: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples at points: features (P or 1, H, W, C), points (P, N, 2) normalised xy -> (P, N, C).

    Cell centres are at half-integers; the map is padded with zeros.
    """
    _, height, width, _ = features.shape
    rows = _hat(points[..., 1] * height - 0.5, height)  # (P, N, H)
    columns = _hat(points[..., 0] * width - 0.5, width)  # (P, N, W)
    weights = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(2).to(features.dtype)
    return torch.matmul(weights, features.flatten(1, 2))


def _bin_weights(low: Tensor, high: Tensor, cells: int, size: int) -> Tensor:
    """Weights of the cells in every bin along one axis: bounds (P, N) -> (P, N, size, cells)."""
    bin_length = (high - low).clamp(min=1) / size
    count = bin_length.ceil()  # samples per bin
    maximum = int(count.max()) if count.numel() else 0
    sample = torch.arange(maximum, device=low.device)
    bins = torch.arange(size, device=low.device).unsqueeze(-1)
    count, bin_length, low = count[..., None, None], bin_length[..., None, None], low[..., None, None]
    at = low + bins * bin_length + (sample + 0.5) * bin_length / count  # (P, N, size, maximum)
    inside = (at >= -1) & (at <= cells) & (sample < count)
    weights = _hat(at.clamp(0, cells - 1), cells) * inside.unsqueeze(-1)
    return weights.sum(-2) / count


def _hat(at: Tensor, cells: int) -> Tensor:
    """Bilinear weights of cells 0..cells-1 at positions `at`: (...) -> (..., cells)."""
    cell = torch.arange(cells, device=at.device, dtype=at.dtype)
    return (1 - (at.unsqueeze(-1) - cell).abs()).clamp(min=0)
