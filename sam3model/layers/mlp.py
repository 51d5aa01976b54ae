"""The ReLU MLP of the prediction heads."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.linear import Linear


class MLP(nn.Module):
    """Linear layers `sizes[0] -> ... -> sizes[-1]` with ReLU between them (official name `MLP`, parameters `layers.N`).

    residual: add the input to the output; the first and last sizes must be equal. out_norm: layer norm at the end.
    """

    def __init__(self, *sizes: int, dropout: float = 0.0, residual: bool = False, out_norm: bool = False) -> None:
        super().__init__()
        if len(sizes) < 2 or (residual and sizes[0] != sizes[-1]):
            raise ValueError(f"sizes {sizes} are invalid for an MLP with residual={residual}")
        self.layers = nn.ModuleList(Linear(a, b) for a, b in pairwise(sizes))
        self.dropout = dropout
        self.residual = residual
        self.out_norm = nn.LayerNorm(sizes[-1]) if out_norm else None

    def in_float32(self, x: Tensor) -> Tensor:
        """A plain MLP in float32, whatever the precision of its weights: (..., sizes[0]) -> (..., sizes[-1])."""
        *hidden, last = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        for layer in hidden:
            x = F.relu(F.linear(x, layer.weight.float(), layer.bias.float()))
        return F.linear(x, last.weight.float(), last.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """(..., sizes[0]) -> (..., sizes[-1])."""
        out = x
        for layer in self.layers[:-1]:
            out = F.relu(layer(out))
            if self.dropout and self.training:
                out = F.dropout(out, self.dropout)
        out = self.layers[-1](out)
        if self.residual:
            out = out + x
        return out if self.out_norm is None else self.out_norm(out)
