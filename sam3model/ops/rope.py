"""Axial rotary position embedding: tables, and their application to queries and keys."""

from functools import lru_cache

import torch
from torch import Tensor

CACHED = 2**20
"""Numbers of a part whose float32 copies stay in the cache of a core, or nearly."""


def axial_angles(
    height: int,
    width: int,
    head_dim: int,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    theta: float = 1e4,
    device: torch.device | None = None,
) -> Tensor:
    """Rotation angle of every channel pair at every cell of a grid, row-major: (height*width, head_dim/2), float32.

    The first half of the pairs encodes the column index, the second half the row index; frequency k is
    theta^(-4k/head_dim). `scale` (rows, columns) multiplies the indices, e.g. to fit a finer grid than in pretraining.
    """
    frequency = theta ** (-torch.arange(0, head_dim, 4, dtype=torch.float32, device=device) / head_dim)  # (head_dim/4,)
    rows = torch.outer(torch.arange(height, dtype=torch.float32, device=device) * scale[0], frequency)
    columns = torch.outer(torch.arange(width, dtype=torch.float32, device=device) * scale[1], frequency)
    columns = columns.expand(height, -1, -1)  # (height, width, head_dim/4)
    rows = rows[:, None].expand(-1, width, -1)
    return torch.cat((columns, rows), dim=-1).flatten(0, 1)


def window_order(height: int, width: int, window: int, device: torch.device | None = None) -> Tensor:
    """Row-major indices of the cells, window by window: (height*width,) int64."""
    index = torch.arange(height * width, device=device).view(height // window, window, width // window, window)
    return index.transpose(1, 2).flatten()


@lru_cache(maxsize=32)
def rotary_table(
    grid: tuple[int, int],
    window: int,
    head_dim: int,
    theta: float,
    is_global: bool,
    device: torch.device,
) -> Tensor:
    """The table of a block for `rotate`, for tokens in window order. It is cached: do not modify it.

    Window blocks use indices inside the window (window^2 tokens), global blocks grid indices times window/grid (H*W).
    """
    # Computed on the device: a compiled trunk recomputes it, and must not copy from the CPU. The device is an argument,
    # since a `with device:` would cut the compiled trunk in two at every block.
    with torch.inference_mode(False):
        if is_global:
            scale = (window / grid[0], window / grid[1])
            angles = axial_angles(*grid, head_dim, scale=scale, theta=theta, device=device)
            angles = angles[window_order(*grid, window, device)]
        else:
            angles = axial_angles(window, window, head_dim, theta=theta, device=device)
        return _table(angles)


def _table(angles: Tensor) -> Tensor:
    """Complex phases (N, 1, 1, d/2) on a CPU (fastest there); else cosines and signed sines (2, N, 1, 1, d)."""
    angles = angles[:, None, None]
    if angles.device.type == "cpu":
        return torch.polar(torch.ones_like(angles), angles)
    sines = torch.stack((-angles.sin(), angles.sin()), dim=-1).flatten(-2)
    return torch.stack((angles.cos().repeat_interleave(2, dim=-1), sines))


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate channel pairs (2i, 2i+1) of x (B, N, 2, heads, d) by a table, in float32; dtype and shape stay."""
    if table.is_complex() and not torch.is_grad_enabled():
        return _rotate_in_parts(x, table)
    return _rotate(x.float(), table).to(x.dtype)


def _rotate_in_parts(x: Tensor, table: Tensor) -> Tensor:
    """The same on a CPU without gradients, a part at a time that its cache holds: in bfloat16 five times as fast."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    step = max(1, CACHED // x[0, 0].numel())
    for row in range(len(x)):
        for start in range(0, x.shape[1], step):
            some = slice(start, start + step)
            out[row, some] = _rotate(x[row, some].float(), table[some])
    return out


@lru_cache(maxsize=8)
def grid_table(height: int, width: int, head_dim: int, theta: float, device: torch.device) -> Tensor:
    """Table of `rotate_heads` for the cells of a grid, row-major. It is cached: do not modify it.

    Complex phases (H*W, head_dim/2) on a CPU; else cosines and signed sines (2, H*W, head_dim).
    """
    with torch.inference_mode(False):
        angles = axial_angles(height, width, head_dim, theta=theta, device=device)
        return _table(angles).squeeze((-2, -3))


def rotate_heads(x: Tensor, table: Tensor, count: int | None = None) -> Tensor:
    """Rotate channel pairs of x (B, heads, K, C) by a table for N tokens; dtype and shape stay.

    The table is repeated along the first `count` tokens (default: all), a multiple of N; the others are not rotated.
    """
    count = x.shape[2] if count is None else count
    turned = _rotate(x[:, :, :count].float().unflatten(2, (-1, table.shape[-2])), table)
    turned = turned.flatten(2, 3).to(x.dtype)
    return turned if count == x.shape[2] else torch.cat((turned, x[:, :, count:]), dim=2)


def _rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate channel pairs of x (..., C) float32; the table is broadcast."""
    if table.is_complex():
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * table).flatten(-2)
    cosine, sine = table
    return torch.addcmul(x * cosine, x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2), sine)
