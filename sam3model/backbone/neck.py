"""Simple feature pyramids over the trunk (arXiv 2203.16527), one for each head of the neck."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import NeckConfig
from sam3model.errors import ConfigError
from sam3model.layers.convolution import Conv2d, UpConv2d
from sam3model.ops.weighted import weighted


class PyramidLevel(nn.Module):
    """Resize the trunk output by `scale`, then apply a 1x1 and a 3x3 convolution with `d_model` output channels.

    Parameter names are the official ones: `dconv_2x2` (or `dconv_2x2_0`, `dconv_2x2_1`), `conv_1x1`, `conv_3x3`.
    """

    def __init__(self, width: int, d_model: int, scale: float) -> None:
        super().__init__()
        channels = width
        if scale == 4.0:
            self.dconv_2x2_0 = UpConv2d(width, width // 2, 2)
            self.dconv_2x2_1 = UpConv2d(width // 2, width // 4, 2)
            channels = width // 4
        elif scale == 2.0:
            self.dconv_2x2 = UpConv2d(width, width // 2, 2)
            channels = width // 2
        elif scale not in (1.0, 0.5):
            raise ConfigError(f"scale factor {scale} of the neck is not supported: use 4, 2, 1 or 0.5")
        self.scale = scale
        self.conv_1x1 = Conv2d(channels, d_model, 1)
        self.conv_3x3 = Conv2d(d_model, d_model, 3, padding=1)

    def forward(self, x: Tensor, projection: nn.Conv2d | None = None) -> Tensor:
        """(B, C, H, W) -> (B, D, scale*H, scale*W).

        projection: a 1x1 convolution that follows. Nothing nonlinear is between, so both become one convolution, with
        as few output channels as the projection has.
        """
        if self.scale == 4.0:
            x = self.dconv_2x2_1(F.gelu(self.dconv_2x2_0(x)))
        elif self.scale == 2.0:
            x = self.dconv_2x2(x)
        elif self.scale == 0.5:
            x = F.max_pool2d(x, 2)
        x = self.conv_1x1(x)
        if projection is None:
            return self.conv_3x3(x)
        mix = projection.weight.flatten(1)  # (P, D)
        weight = torch.einsum("pd,dckl->pckl", mix, self.conv_3x3.weight)
        shift, own = self.conv_3x3.bias, projection.bias
        bias = None if shift is None or own is None else mix @ shift + own
        return weighted(F.conv2d, x, weight, bias, padding=1)


class ViTDetNeck(nn.Module):
    """Feature pyramids with separate weights (official names: `Sam3DualViTDetNeck`, `Sam3TriViTDetNeck`).

    Each head of the configuration is a submodule of that name: `detection`, `interactive`, `propagation`. Dropped
    levels have weights but are never computed.
    """

    def __init__(self, config: NeckConfig, width: int, d_model: int) -> None:
        super().__init__()
        self.config = config
        for head in config.heads:
            levels = nn.ModuleList(PyramidLevel(width, d_model, scale) for scale in config.scale_factors)
            self.add_module(head, levels)

    def forward(
        self, trunk: Tensor, head: str = "detection", projections: Sequence[nn.Conv2d | None] | None = None
    ) -> tuple[Tensor, ...]:
        """Trunk features (B, C, H, W) -> pyramid of a head, finest first, each (B, D, H_i, W_i).

        projections: for each level, a 1x1 convolution to apply to it, or None.

        Raises:
            ConfigError: the neck has no such head.
        """
        if head not in self.config.heads:
            raise ConfigError(f"the neck has no {head!r} head: this model has {', '.join(self.config.heads)}")
        levels = list(self.get_submodule(head).children())[: len(self.config.used(head))]
        return tuple(
            level(trunk, projection)
            for level, projection in zip(levels, projections or [None] * len(levels), strict=True)
        )
