"""Convolutions by the faster arithmetic; parameters and results are those of torch's layers."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.ops.weighted import weighted


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` through `weighted`."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H', W')."""
        return weighted(self._conv_forward, input, self.weight, self.bias)


class UpConv2d(nn.ConvTranspose2d):
    """A transposed convolution whose kernel is as large as its stride, through `weighted`."""

    def __init__(self, inputs: int, outputs: int, scale: int) -> None:
        super().__init__(inputs, outputs, scale, stride=scale)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, scale * H, scale * W)."""
        return weighted(F.conv_transpose2d, input, self.weight, self.bias, stride=self.stride)
