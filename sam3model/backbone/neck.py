"""Simple feature pyramids over the trunk (arXiv 2203.16527), one for the detector and one for the tracker."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import NeckConfig
from sam3model.errors import ConfigError


class PyramidLevel(nn.Module):
    """Resample the trunk's map by `scale`, then a 1x1 and a 3x3 convolution to `d_model` channels.

    Parameters have the official names: `dconv_2x2` (or `dconv_2x2_0`, `dconv_2x2_1`), `conv_1x1`, `conv_3x3`.
    """

    def __init__(self, width: int, d_model: int, scale: float) -> None:
        super().__init__()
        channels = width
        if scale == 4.0:
            self.dconv_2x2_0 = nn.ConvTranspose2d(width, width // 2, 2, stride=2)
            self.dconv_2x2_1 = nn.ConvTranspose2d(width // 2, width // 4, 2, stride=2)
            channels = width // 4
        elif scale == 2.0:
            self.dconv_2x2 = nn.ConvTranspose2d(width, width // 2, 2, stride=2)
            channels = width // 2
        elif scale not in (1.0, 0.5):
            raise ConfigError(f"a pyramid level cannot have scale {scale}: choose 4, 2, 1 or 0.5")
        self.scale = scale
        self.conv_1x1 = nn.Conv2d(channels, d_model, 1)
        self.conv_3x3 = nn.Conv2d(d_model, d_model, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, scale*H, scale*W)."""
        if self.scale == 4.0:
            x = self.dconv_2x2_1(F.gelu(self.dconv_2x2_0(x)))
        elif self.scale == 2.0:
            x = self.dconv_2x2(x)
        elif self.scale == 0.5:
            x = F.max_pool2d(x, 2)
        return self.conv_3x3(self.conv_1x1(x))


class Sam3DualViTDetNeck(nn.Module):
    """Two pyramids of one shape with separate weights: `convs` for the detector, `sam2_convs` for the tracker.

    The name is the official one. The last `dropped_levels` levels exist in the checkpoint, but nothing
    reads them, so they are not computed.
    """

    def __init__(self, config: NeckConfig, width: int, d_model: int) -> None:
        super().__init__()
        self.used = len(config.scale_factors) - config.dropped_levels
        self.convs = nn.ModuleList(PyramidLevel(width, d_model, scale) for scale in config.scale_factors)
        self.sam2_convs = None
        if config.tracker_neck:
            self.sam2_convs = nn.ModuleList(PyramidLevel(width, d_model, scale) for scale in config.scale_factors)

    def forward(self, trunk: Tensor) -> tuple[Tensor, ...]:
        """Trunk features (B, C, H, W) -> detector pyramid, finest first, each (B, D, H_i, W_i)."""
        return tuple(level(trunk) for level in self.convs[: self.used])

    def tracker(self, trunk: Tensor) -> tuple[Tensor, ...]:
        """The tracker's pyramid of the same trunk features.

        Raises:
            ConfigError: the model was built without the tracker's neck.
        """
        if self.sam2_convs is None:
            raise ConfigError("this model has no tracker neck: build it with neck.tracker_neck = true")
        return tuple(level(trunk) for level in self.sam2_convs[: self.used])
