"""Matrix products of int8 numbers with a scale per row: an output channel of the weights, or a token."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sam3model.devices import cpu_has

LARGEST = 127
"""Values are -127 to 127: as many on both sides of zero."""

ROWS_AT_ONCE = 128
"""Rows whose float32 values are held at a time, in the cache of a core: new memory costs more than the arithmetic."""

VALUES_PER_THREAD = 65_536
"""Of narrow rows, more are taken at a time: torch gives a thread no less than half of this. With two threads of a
Zen 4, a layer of 5,184 tokens from 256 to 256 takes 2.8 ms in place of 5.4.
"""


@dataclass(frozen=True, slots=True)
class Int8Rows:
    """A matrix as values (N, K) int8 times scale (N,) float32."""

    values: Tensor
    scale: Tensor


@torch.no_grad()
def to_int8(x: Tensor) -> Int8Rows:
    """Round a matrix (N, K) to int8, with the largest value of each row at 127. Rows of zeros get the scale 0.

    Without gradients: else the scales would keep float32 copies of the weights alive. Without memory if the matrix is.
    """
    if x.is_meta:  # to compute its shapes, torch would import its compiler, which takes seconds
        return Int8Rows(x.new_empty(x.shape, dtype=torch.int8), x.new_empty(len(x), dtype=torch.float32))
    values = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scale = torch.empty(len(x), dtype=torch.float32, device=x.device)
    for some in _slices(*x.shape):
        part = x[some].to(torch.float32, copy=True)
        scale[some] = torch.maximum(part.amax(dim=1), -part.amin(dim=1)) / LARGEST
        step = torch.where(scale[some] > 0, scale[some], 1.0)
        values[some] = part.div_(step[:, None]).round_()
    return Int8Rows(values, scale)


def has_int8_product() -> bool:
    """Whether this processor multiplies int8 numbers in hardware (x86 with VNNI or AMX), in this build of torch."""
    return torch.backends.mkldnn.is_available() and cpu_has("vnni", "amx_tile")


def int8_product(tokens: Int8Rows, weights: Int8Rows) -> Iterator[tuple[slice, Tensor]]:
    """tokens (N, K) times weights (M, K) transposed: some rows at a time, and their products (rows, M) float32.

    Without int8 instructions the same integers are multiplied in float32, which is far faster there, and rounds only
    sums above 2^24.
    """
    if has_int8_product():
        product = torch.ops.aten._int_mm(tokens.values, weights.values.T)
    else:
        product = torch.mm(tokens.values.float(), weights.values.float().T)
    for some in _slices(*product.shape):
        yield some, product[some].float().mul_(tokens.scale[some, None]).mul_(weights.scale)


def _slices(rows: int, width: int) -> Iterator[slice]:
    """Rows to compute at a time: few enough for the cache, and enough for every thread."""
    at_once = max(ROWS_AT_ONCE, torch.get_num_threads() * VALUES_PER_THREAD // max(width, 1))
    return (slice(start, start + at_once) for start in range(0, rows, at_once))
