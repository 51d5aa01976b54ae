"""Layers with int8 weights for inference: same inputs, outputs and floating-point types as the layers they replace."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.attention import MultiheadAttention
from sam3model.ops.int8_product import Int8Rows, int8_product, to_int8

TOKENS_AT_ONCE = 1024
"""Tokens whose sums of products are held at a time."""


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale per output channel. Tokens are rounded with one scale per token."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight (out, in) and bias (out,) in floating point."""
        super().__init__()
        rows = to_int8(weight)
        self.register_buffer("values", rows.values)
        self.register_buffer("scale", rows.scale)
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        self.values: Tensor
        self.scale: Tensor
        self.bias: Tensor | None

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return self.rows(input, slice(None))

    def gelu(self, input: Tensor) -> Tensor:
        """The layer, then an exact GELU: (..., in) -> (..., out)."""
        return self.rows(input, slice(None), F.gelu)

    def rows(self, input: Tensor, chosen: slice, then: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The chosen output channels, (..., in) -> (..., chosen); `then` is applied to them in float32."""
        weights = Int8Rows(self.values[chosen], self.scale[chosen])
        tokens = input.reshape(-1, input.shape[-1])
        out = tokens.new_empty(len(tokens), len(weights.scale))
        for start in range(0, len(tokens), TOKENS_AT_ONCE):
            small, own = to_int8(tokens[start : start + TOKENS_AT_ONCE]), out[start : start + TOKENS_AT_ONCE]
            for some, product in int8_product(small, weights):
                if self.bias is not None:
                    product.add_(self.bias[chosen])
                own[some] = product if then is None else then(product)
        return out.view(*input.shape[:-1], out.shape[-1])


class Int8Attention(MultiheadAttention):
    """Multi-head attention whose projections have int8 weights; the attention itself is as before."""

    def __init__(self, attention: MultiheadAttention) -> None:
        nn.Module.__init__(self)
        self.dim, self.heads, self.dropout = attention.dim, attention.heads, 0.0
        self.in_proj = Int8Linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = Int8Linear(attention.out_proj.weight, attention.out_proj.bias)

    def _product(self) -> Callable[[Tensor, slice], Tensor]:
        return self.in_proj.rows
