"""Segmentation head: pixel decoder over the pyramid, one mask per query, one semantic mask per prompt."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import DetectorConfig
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.convolution import Conv2d
from sam3model.layers.init import xavier_
from sam3model.layers.mlp import MLP
from sam3model.ops.weighted import weighted
from sam3model.structures import ImageFeatures, PromptTokens


class PixelDecoder(nn.Module):
    """For each finer level: nearest upsampling, sum with the level, 3x3 convolution, group norm, ReLU.

    The convolution of a sum is the sum of two convolutions. That of the level is the same for all prompts, so it runs
    once per image (`laterals`); that of the upsampled map runs without upsampling, with 4/9 of the multiplications.
    The released weights have one stage more than the model uses.
    """

    def __init__(self, dim: int, stages: int, groups: int) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(Conv2d(dim, dim, 3, padding=1) for _ in range(stages))
        self.norms = nn.ModuleList(nn.GroupNorm(groups, dim) for _ in range(stages))

    def laterals(self, finer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Levels, finest first, each (B, D, H_i, W_i) -> their convolutions, coarsest first."""
        return tuple(conv(level) for level, conv in zip(reversed(finer), self.conv_layers, strict=False))

    def forward(self, coarse: Tensor, laterals: tuple[Tensor, ...]) -> Tensor:
        """coarse (P, D, H, W); laterals, coarsest first, each (P or 1, D, H_i, W_i) -> (P, D, H_0, W_0)."""
        x = coarse
        for lateral, conv, norm in zip(laterals, self.conv_layers, self.norms, strict=False):
            kernel = _kernel_over_doubled(conv.get_parameter("weight"))
            x = lateral + weighted(F.conv_transpose2d, x, kernel, stride=2, padding=1)
            if lateral is laterals[-1] and torch.is_grad_enabled():
                x = x.contiguous()  # channels first in memory make the backward pass twice as fast
            x = F.relu(norm(x))
        return x


def _kernel_over_doubled(weight: Tensor) -> Tensor:
    """Kernel (in, out, 4, 4): its transposed convolution of a map equals the 3x3 `weight` on the upsampled map."""
    mirrored = weight.flip(2, 3)
    shifted = [F.pad(mirrored, (left, 1 - left, top, 1 - top)) for left in (0, 1) for top in (0, 1)]
    return torch.stack(shifted).sum(0).transpose(0, 1)


class MaskPredictor(nn.Module):
    """MLP from queries to mask embeddings."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mask_embed = MLP(dim, dim, dim, dim)


class SegmentationHead(nn.Module):
    """Official `UniversalSegmentationHead`: instance masks of queries, and a semantic mask of each prompt."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        dim = config.d_model
        self.cross_attn_norm = nn.LayerNorm(dim)
        self.cross_attend_prompt = MultiheadAttention(dim, config.heads)
        self.pixel_decoder = PixelDecoder(dim, config.segmentation.stages, config.segmentation.groups)
        self.mask_predictor = MaskPredictor(dim)
        self.instance_seg_head = nn.Conv2d(dim, dim, 1)
        self.semantic_seg_head = nn.Conv2d(dim, 1, 1)
        xavier_(self)

    def pixels(self, memory: Tensor, prompt: PromptTokens, features: ImageFeatures, image_index: Tensor) -> Tensor:
        """Pixel decoder output (P, D, H_0, W_0) from image memory (P, H*W, D), prompt and features."""
        attended = self.cross_attend_prompt(
            self.cross_attn_norm(memory), prompt.tokens, prompt.tokens, key_padding_mask=prompt.mask
        )
        height, width = features.levels[-1].shape[-2:]
        coarse = (memory + attended).transpose(1, 2).unflatten(-1, (height, width))  # (P, D, H, W)
        laterals = features.laterals
        if laterals is None:
            laterals = self.pixel_decoder.laterals(features.levels[:-1])
        if features.levels[-1].shape[0] > 1:
            laterals = tuple(_gather(lateral, image_index) for lateral in laterals)
        return self.pixel_decoder(coarse, laterals)

    def masks(self, queries: Tensor, pixels: Tensor) -> Tensor:
        """Queries (P, Q, D) and pixels (P, D, H, W) -> mask logits (P, Q, H, W)."""
        kernels, offsets = self._kernels(queries)
        return _apply(kernels, offsets, pixels)

    def masks_and_semantic(self, queries: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Queries (P, Q, D) and pixels (P, D, H, W) -> mask logits (P, Q, H, W), semantic logits (P, 1, H, W)."""
        kernels, offsets = self._kernels(queries)
        weight, bias = (p.view(1, 1, -1).expand(len(queries), -1, -1) for p in self.semantic_seg_head.parameters())
        maps = _apply(torch.cat((kernels, weight), dim=1), torch.cat((offsets, bias), dim=1), pixels)
        masks, semantic = maps.split((queries.shape[1], 1), dim=1)
        return masks, semantic

    def _kernels(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (P, Q, D) and offsets (P, Q, 1) of the linear maps from pixels to masks.

        The 1x1 convolution `instance_seg_head` is applied to the queries instead of the pixels: the result is the same,
        and there are far fewer of them.
        """
        embedded = self.mask_predictor.mask_embed(queries)  # (P, Q, D)
        weight, bias = self.instance_seg_head.parameters()
        return torch.matmul(embedded, weight.flatten(1)), torch.matmul(embedded, bias).unsqueeze(-1)


def _gather(level: Tensor, image_index: Tensor) -> Tensor:
    """Select rows of a map (B, D, H, W) that is channels last in memory, and keep it so: several times faster."""
    return level.permute(0, 2, 3, 1).index_select(0, image_index).permute(0, 3, 1, 2)


def _apply(kernels: Tensor, offsets: Tensor, pixels: Tensor) -> Tensor:
    maps = weighted(lambda x, weight, bias: torch.baddbmm(bias, weight, x), pixels.flatten(2), kernels, offsets)
    return maps.unflatten(-1, pixels.shape[-2:])
