"""Products and convolutions with weights, by the faster arithmetic."""

from collections.abc import Callable

import torch
from torch import Tensor

from sam3model.devices import has_native_bfloat16


def weighted(
    operation: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None = None, **options: object
) -> Tensor:
    """operation(x, weight, bias, **options); `x` and the result have the same floating-point type.

    In bfloat16 inference, a CPU that only emulates it computes in float32 and rounds the result once: products are 2 to
    7 times as fast, convolutions of the neck about 100 times (AMD Zen 3), and nothing is less exact.
    """
    if not _suits_float32(x, weight):
        return operation(x, weight, bias, **options)
    bias = None if bias is None else bias.float()
    return operation(x.float(), weight.float(), bias, **options).to(x.dtype)


def _suits_float32(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.bfloat16
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not has_native_bfloat16(x.device)
    )
