"""Features of regions and of points: RoI-align and bilinear sampling as two small matrix products.

A bilinear sample of a map is a weighted sum over its cells, and the weight of a cell is the product of a row weight and
a column weight. The samples of a region form a grid, so their mean separates in the same way.
"""

import torch
from torch import Tensor


def roi_align(features: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Mean features of a `size` x `size` grid of bins over each region (Mask R-CNN, arXiv 1703.06870).

    features (P or 1, H, W, C); boxes (P, N, 4) as xyxy in cells; returns (P, N, C, size, size).
    Adaptive number of samples per bin, the un-shifted convention (no half-cell offset), regions at least one cell wide;
    a sample more than one cell outside the map counts as zero.
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

    Cell centres are at half-integers and the surroundings of the map are zero.
    """
    _, height, width, _ = features.shape
    rows = _hat(points[..., 1] * height - 0.5, height)  # (P, N, H)
    columns = _hat(points[..., 0] * width - 0.5, width)  # (P, N, W)
    weights = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(2).to(features.dtype)
    return torch.matmul(weights, features.flatten(1, 2))


def _bin_weights(low: Tensor, high: Tensor, cells: int, size: int) -> Tensor:
    """Weight of each cell in each bin along one axis: (P, N) bounds -> (P, N, size, cells)."""
    bin_length = (high - low).clamp(min=1) / size
    count = bin_length.ceil()  # samples per bin
    most = int(count.max()) if count.numel() else 0
    sample = torch.arange(most, device=low.device)
    bins = torch.arange(size, device=low.device).unsqueeze(-1)
    count, bin_length, low = count[..., None, None], bin_length[..., None, None], low[..., None, None]
    at = low + bins * bin_length + (sample + 0.5) * bin_length / count  # (P, N, size, most)
    inside = (at >= -1) & (at <= cells) & (sample < count)
    weights = _hat(at.clamp(0, cells - 1), cells) * inside.unsqueeze(-1)
    return weights.sum(-2) / count


def _hat(at: Tensor, cells: int) -> Tensor:
    """Bilinear weight of cells 0..cells-1 for positions `at`: (...) -> (..., cells)."""
    cell = torch.arange(cells, device=at.device, dtype=at.dtype)
    return (1 - (at.unsqueeze(-1) - cell).abs()).clamp(min=0)
