"""Encode a frame and the masks on it into memory (official `SimpleMaskEncoder`)."""

from torch import Tensor, nn

from sam3model.layers.convolution import Conv2d
from sam3model.layers.mask_fusion import SimpleFuser, SimpleMaskDownSampler


class MemoryEncoder(nn.Module):
    """Image embedding and masks of N objects -> memory of N objects."""

    def __init__(self, dim: int, memory_dim: int, fuser_layers: int, mask_stride: int) -> None:
        super().__init__()
        self.mask_downsampler = SimpleMaskDownSampler(dim, mask_stride)
        self.pix_feat_proj = Conv2d(dim, dim, 1)
        self.fuser = SimpleFuser(dim, fuser_layers)
        self.out_proj = Conv2d(dim, memory_dim, 1)

    def forward(self, embedding: Tensor, masks: Tensor) -> Tensor:
        """Embedding (1 or N, D, g, g) and masks (N, 1, stride * g, stride * g) -> (N, M, g, g)."""
        return self.out_proj(self.fuser(self.pix_feat_proj(embedding) + self.mask_downsampler(masks)))
