"""Layer norm in mixed precision, and layer norm over the channels of a map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """`nn.LayerNorm` that computes in the higher precision of its input and its weights."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        dtype = torch.promote_types(input.dtype, self.weight.dtype)
        weight, bias = self.weight.to(dtype), self.bias.to(dtype)
        return F.layer_norm(input.to(dtype), self.normalized_shape, weight, bias, self.eps)


class LayerNorm2d(nn.Module):
    """Layer norm over dimension 1 of a map (B, C, H, W)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)
