"""Encoder of mask prompts, an option of the geometry encoder that the released weights do not have."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.norm import LayerNorm2d

DOWNSAMPLER_CHANNELS = (1, 4, 16, 64, 256)
STRIDE = 16  # of the downsampler: four convolutions of stride 2


class SimpleMaskDownSampler(nn.Module):
    """Downsample masks to the token grid (official name)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(DOWNSAMPLER_CHANNELS):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), LayerNorm2d(after), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(DOWNSAMPLER_CHANNELS[-1], dim, 1))

    def forward(self, masks: Tensor, grid: tuple[int, int]) -> Tensor:
        """Masks (P, 1, h, w) of any size -> (P, D, *grid)."""
        size = [side * STRIDE for side in grid]
        masks = F.interpolate(masks.float(), size, mode="bilinear", align_corners=False, antialias=True)
        return self.encoder(masks.to(next(self.parameters()).dtype))


class CXBlock(nn.Module):
    """ConvNeXt block (arXiv 2201.03545): depthwise 7x7, norm, 4x MLP, scale per channel, residual."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = LayerNorm2d(dim)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(P, D, H, W) -> (P, D, H, W)."""
        hidden = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        hidden = self.gamma * self.pwconv2(F.gelu(self.pwconv1(hidden)))
        return x + hidden.permute(0, 3, 1, 2)


class SimpleFuser(nn.Module):
    """A stack of `CXBlock` (official name)."""

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CXBlock(dim) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(P, D, H, W) -> (P, D, H, W)."""
        for layer in self.layers:
            x = layer(x)
        return x


class MaskPromptEncoder(nn.Module):
    """Fuse mask prompts with image features: one token per cell of the token grid (official `FusedMaskEncoder`)."""

    def __init__(self, dim: int, fuser_layers: int = 2) -> None:
        super().__init__()
        self.mask_downsampler = SimpleMaskDownSampler(dim)
        self.fuser = SimpleFuser(dim, fuser_layers)
        self.pix_feat_proj = nn.Conv2d(dim, dim, 1)

    def forward(self, masks: Tensor, features: Tensor, position: Tensor) -> Tensor:
        """masks (P, 1, h, w); features (P or 1, D, H, W), layer-normed; position (1, D, H, W) -> tokens (P, H*W, D)."""
        grid = (features.shape[-2], features.shape[-1])
        fused = self.fuser(self.pix_feat_proj(features) + self.mask_downsampler(masks, grid))
        return (fused + position.to(fused.dtype)).flatten(2).transpose(1, 2)
