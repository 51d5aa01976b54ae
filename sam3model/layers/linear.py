"""A linear layer with the faster matrix product on a CPU."""

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.ops.weighted import weighted

MIN_TOKENS = 1024
MIN_FEATURES = 512
"""From these sizes on, oneDNN is 1.05 to 1.4 times as fast as torch's default (AMD Zen 4)."""

_HAS_ONEDNN = (
    platform.machine() in ("x86_64", "AMD64")
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
_DTYPES = {torch.float32} | (
    {torch.bfloat16} if _HAS_ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported() else set()
)


class Linear(nn.Linear):
    """`nn.Linear` that uses oneDNN if that is faster: for wide layers, many tokens, and inference on a CPU.

    Otherwise the product is that of `weighted`. Parameters are the same, and results differ by rounding only.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        if self._suits_onednn(input):
            return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
        return weighted(F.linear, input, self.weight, self.bias)

    def gelu(self, input: Tensor) -> Tensor:
        """The layer, then an exact GELU: (..., in_features) -> (..., out_features)."""
        if self._suits_onednn(input):
            return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "gelu", [], "none")
        return F.gelu(self(input))

    def _suits_onednn(self, x: Tensor) -> bool:
        return (
            _HAS_ONEDNN
            and min(self.in_features, self.out_features) >= MIN_FEATURES
            and x.numel() >= MIN_TOKENS * self.in_features
            and x.dtype in _DTYPES
            and x.dtype == self.weight.dtype
            and x.device.type == "cpu"
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )
