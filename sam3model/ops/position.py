"""Sine position encodings of feature maps, points, boxes and decoder queries. Those of maps are cached."""

import math
from functools import lru_cache

import torch
from torch import Tensor

TEMPERATURE = 10000.0


class PositionEmbeddingSine:
    """Sine encodings of `dim` channels, half for rows and half for columns (official name).

    A coordinate in 0..1 is multiplied by 2 pi and divided by 10000^(2*floor(j/2)/(dim/2)); even channels j are sines,
    odd channels cosines.
    """

    def __init__(self, dim: int) -> None:
        if dim % 4:
            raise ValueError(f"dim {dim} must be divisible by 4: sine and cosine of rows and of columns")
        self.dim = dim

    def map(self, height: int, width: int, *, device: torch.device | None = None) -> Tensor:
        """Encoding of a map, (1, dim, height, width), rows first. The tensor is cached: do not modify it."""
        return _map_code(self.dim, height, width, device or torch.device("cpu"))

    def encode_points(self, points: Tensor) -> Tensor:
        """Points (..., 2) normalised xy -> (..., dim), in the order x, y."""
        return sine_code(points, self.dim // 2).flatten(-2)

    def encode_boxes(self, boxes: Tensor) -> Tensor:
        """Boxes (..., 4) normalised cxcywh -> (..., dim + 2): encoded y and x, then raw height and width."""
        code = sine_code(boxes[..., [1, 0]], self.dim // 2).flatten(-2)
        return torch.cat((code, boxes[..., [3, 2]]), dim=-1)

    def encode_queries(self, boxes: Tensor) -> Tensor:
        """Reference boxes (..., 4) normalised cxcywh -> (..., 2 * dim), in the order y, x, w, h."""
        return sine_code(boxes[..., [1, 0, 2, 3]], self.dim // 2).flatten(-2)


def sine_code(x: Tensor, channels: int) -> Tensor:
    """Interleaved sines and cosines of coordinates in 0..1: (...) -> (..., channels)."""
    angle = x.unsqueeze(-1) * _frequencies(channels, x.device)  # (..., channels/2)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)


@lru_cache(maxsize=32)
def _frequencies(channels: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        j = torch.arange(channels // 2, dtype=torch.float32, device=device)
        return 2 * math.pi / TEMPERATURE ** (2 * j / channels)


@lru_cache(maxsize=32)
def _map_code(dim: int, height: int, width: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        rows = torch.arange(1, height + 1, dtype=torch.float32, device=device) / (height + 1e-6)
        columns = torch.arange(1, width + 1, dtype=torch.float32, device=device) / (width + 1e-6)
        row_code = sine_code(rows, dim // 2).T[:, :, None].expand(-1, -1, width)  # (dim/2, H, W)
        column_code = sine_code(columns, dim // 2).T[:, None, :].expand(-1, height, -1)
        return torch.cat((row_code, column_code)).unsqueeze(0)
