"""Matrix products of int8 numbers with a scale per row: an output channel of the weights, or a token."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sam3model.devices import cpu_has

LARGEST = 127
"""Values are -127 to 127: as many on both sides of zero."""


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
    x = x.float()
    scale = x.abs().amax(dim=1) / LARGEST
    step = torch.where(scale > 0, scale, 1.0)
    return Int8Rows((x / step[:, None]).round_().to(torch.int8), scale)


def has_int8_product() -> bool:
    """Whether this processor multiplies int8 numbers in hardware (x86 with VNNI or AMX), in this build of torch."""
    return torch.backends.mkldnn.is_available() and cpu_has("vnni", "amx_tile")


def int8_product(tokens: Int8Rows, weights: Int8Rows) -> Tensor:
    """tokens (N, K) times weights (M, K) transposed, (N, M) float32.

    Without int8 instructions the same integers are multiplied in float32, which is far faster there, and rounds only
    sums above 2^24.
    """
    if has_int8_product():
        product = torch.ops.aten._int_mm(tokens.values, weights.values.T).float()
    else:
        product = torch.mm(tokens.values.float(), weights.values.float().T)
    return product.mul_(tokens.scale[:, None]).mul_(weights.scale)
