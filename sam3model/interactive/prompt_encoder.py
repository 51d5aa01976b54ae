"""Encode clicks, boxes and masks for the mask decoder (official `PromptEncoder`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.convolution import Conv2d
from sam3model.layers.norm import LayerNorm2d

PADDING, OUTSIDE, INSIDE, BOX_START, BOX_END = -1, 0, 1, 2, 3
"""Labels of points: none, a click outside or inside the object, the two corners of a box."""


class PositionEmbeddingRandom(nn.Module):
    """Random Fourier features of positions (official name); the matrix is stored with the weights."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, dim // 2))

    def forward(self, points: Tensor) -> Tensor:
        """Points (..., 2), xy in 0..1 -> (..., dim) float32: sines, then cosines."""
        angles = 2 * math.pi * ((2 * points.float() - 1) @ self.positional_encoding_gaussian_matrix.float())
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    def grid(self, side: int) -> Tensor:
        """Codes of the cell centres of a square grid, (1, dim, side, side)."""
        centres = (torch.arange(side, device=self.positional_encoding_gaussian_matrix.device) + 0.5) / side
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        return self(torch.stack((columns, rows), dim=-1)).permute(2, 0, 1).unsqueeze(0)


class PromptEncoder(nn.Module):
    """Official `PromptEncoder`.

    Args:
        dim: width of the tokens.
        image_size: side of the model input in pixels.
        grid: side of the image embedding in cells.
        mask_channels: width of the mask encoder.
    """

    def __init__(self, dim: int, image_size: int, grid: int, mask_channels: int) -> None:
        super().__init__()
        self.image_size, self.grid = image_size, grid
        self.pe_layer = PositionEmbeddingRandom(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            Conv2d(1, mask_channels // 4, 2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            Conv2d(mask_channels // 4, mask_channels, 2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            Conv2d(mask_channels, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    @property
    def mask_side(self) -> int:
        """Side of mask prompts, in pixels: that of the low-resolution masks."""
        return 4 * self.grid

    def dense_position(self) -> Tensor:
        """Position code of the image embedding, (1, D, grid, grid)."""
        return self.pe_layer.grid(self.grid).to(self.no_mask_embed.weight.dtype)

    def encode_points(self, points: Tensor, labels: Tensor, pad: bool = True) -> Tensor:
        """Points (N, K, 2) in pixels of the model input and labels (N, K) -> tokens (N, K, D), or K + 1 with `pad`.

        Without a box argument the official code always appends one padding point: keep `pad`.
        """
        if pad:
            points = torch.cat((points, points.new_zeros(len(points), 1, 2)), dim=1)
            labels = torch.cat((labels, labels.new_full((len(labels), 1), PADDING)), dim=1)
        codes = self.pe_layer((points + 0.5) / self.image_size)  # (N, K, D)
        kinds = torch.cat([self.not_a_point_embed.weight, *(kind.weight for kind in self._kinds())])  # (5, D)
        is_point = (labels != PADDING).unsqueeze(-1)
        return (codes * is_point).to(kinds.dtype) + kinds[labels.long() + 1]

    def encode_mask(self, logits: Tensor | None, count: int) -> Tensor:
        """Mask logits (N, 1, h, w) -> dense embedding (N, D, grid, grid); of another size, they are resized first.

        None: the embedding that means no mask, for `count` objects.
        """
        if logits is None:
            return self.no_mask_embed.weight[:, :, None, None].expand(count, -1, self.grid, self.grid)
        if logits.shape[-2:] != (self.mask_side, self.mask_side):
            logits = resize_mask(logits, self.mask_side)
        return self.mask_downscaling(logits.to(self.no_mask_embed.weight.dtype))

    def _kinds(self) -> list[nn.Embedding]:
        return [kind for kind in self.point_embeddings if isinstance(kind, nn.Embedding)]


def resize_mask(logits: Tensor, side: int) -> Tensor:
    """Antialiased bilinear resize of (N, 1, h, w) to a square, in float32."""
    return F.interpolate(logits.float(), (side, side), mode="bilinear", align_corners=False, antialias=True)
