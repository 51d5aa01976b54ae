"""Fuse masks with image features: the layers of the memory encoder and of the encoder of mask prompts."""

import torch
from torch import Tensor, nn

from sam3model.layers.convolution import Conv2d
from sam3model.layers.linear import Linear
from sam3model.layers.norm import LayerNorm2d

MASK_STRIDE = 16
"""Pixels of a released mask input along the side of a cell."""


class SimpleMaskDownSampler(nn.Module):
    """Convolutions from a mask to the grid of the image embedding (official name)."""

    def __init__(self, dim: int, stride: int = MASK_STRIDE) -> None:
        """stride: mask pixels along the side of a cell, a power of two. Each halving has four times the channels."""
        super().__init__()
        layers: list[nn.Module] = []
        stages = stride.bit_length() - 1
        for stage in range(stages):
            channels = 4 ** (stage + 1)
            layers += [Conv2d(4**stage, channels, 3, stride=2, padding=1), LayerNorm2d(channels), nn.GELU()]
        self.encoder = nn.Sequential(*layers, Conv2d(4**stages, dim, 1))

    def forward(self, masks: Tensor) -> Tensor:
        """(N, 1, stride * g, stride * g) -> (N, D, g, g)."""
        return self.encoder(masks)


class CXBlock(nn.Module):
    """ConvNeXt block (official name): depthwise convolution, then a two-layer MLP per cell, scaled and added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = Linear(dim, 4 * dim)
        self.pwconv2 = Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, g, g) -> (N, D, g, g)."""
        cells = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        return x + (self.gamma * self.pwconv2(self.pwconv1.gelu(cells))).permute(0, 3, 1, 2)


class SimpleFuser(nn.Module):
    """ConvNeXt blocks over image and mask together (official name)."""

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CXBlock(dim) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, g, g) -> (N, D, g, g)."""
        for layer in self.layers:
            x = layer(x)
        return x
