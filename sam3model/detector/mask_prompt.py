"""Encoder of mask prompts, an option of the geometry encoder that the released weights do not have."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.convolution import Conv2d
from sam3model.layers.mask_fusion import MASK_STRIDE, SimpleFuser, SimpleMaskDownSampler


class MaskPromptEncoder(nn.Module):
    """Fuse mask prompts with image features: one token per cell of the token grid (official `FusedMaskEncoder`)."""

    def __init__(self, dim: int, fuser_layers: int = 2) -> None:
        super().__init__()
        self.mask_downsampler = SimpleMaskDownSampler(dim)
        self.fuser = SimpleFuser(dim, fuser_layers)
        self.pix_feat_proj = Conv2d(dim, dim, 1)

    def forward(self, masks: Tensor, features: Tensor, position: Tensor) -> Tensor:
        """masks (P, 1, h, w); features (P or 1, D, H, W), layer-normed; position (1, D, H, W) -> tokens (P, H*W, D)."""
        size = [side * MASK_STRIDE for side in features.shape[-2:]]
        masks = F.interpolate(masks.float(), size, mode="bilinear", align_corners=False, antialias=True)
        image = self.pix_feat_proj(features)
        fused = self.fuser(image + self.mask_downsampler(masks.to(image.dtype)))
        return (fused + position.to(fused.dtype)).flatten(2).transpose(1, 2)
