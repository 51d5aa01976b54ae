"""Segmentation head: a pixel decoder over the pyramid, then one mask per query and one semantic map per prompt."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import DetectorConfig
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.init import xavier_
from sam3model.layers.mlp import MLP
from sam3model.structures import ImageFeatures, PromptTokens


class PixelDecoder(nn.Module):
    """Nearest upsampling, sum with the next finer level, 3x3 convolution, group norm, ReLU; once per level.

    A convolution of a sum is the sum of two: the level's is the same for every prompt and made once per picture
    (`laterals`), that of the upsampled map is made without upsampling, with 4/9 of the products.
    The released weights hold one stage more than there are levels to climb; it is kept for them and never run.
    """

    def __init__(self, dim: int, stages: int, groups: int) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(nn.Conv2d(dim, dim, 3, padding=1) for _ in range(stages))
        self.norms = nn.ModuleList(nn.GroupNorm(groups, dim) for _ in range(stages))

    def laterals(self, finer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Finer levels, finest first, each (B, D, H_i, W_i) -> their convolutions, coarsest first."""
        return tuple(conv(level) for level, conv in zip(reversed(finer), self.conv_layers, strict=False))

    def forward(self, coarse: Tensor, laterals: tuple[Tensor, ...]) -> Tensor:
        """coarse (P, D, H, W); laterals, coarsest first, each (P or 1, D, H_i, W_i) -> (P, D, H_0, W_0)."""
        x = coarse
        for lateral, conv, norm in zip(laterals, self.conv_layers, self.norms, strict=False):
            kernel = _kernel_over_doubled(conv.get_parameter("weight"))
            x = lateral + F.conv_transpose2d(x, kernel, stride=2, padding=1)
            if lateral is laterals[-1]:
                x = x.contiguous()  # channels first in memory: the norm and the mask products run back twice as fast
            x = F.relu(norm(x))
        return x


def _kernel_over_doubled(weight: Tensor) -> Tensor:
    """Kernel (in, out, 4, 4) whose transposed convolution of a map is the 3x3 `weight` on that map doubled in size."""
    mirrored = weight.flip(2, 3)
    shifted = [F.pad(mirrored, (left, 1 - left, top, 1 - top)) for left in (0, 1) for top in (0, 1)]
    return torch.stack(shifted).sum(0).transpose(0, 1)


class MaskPredictor(nn.Module):
    """The MLP that turns queries into mask embeddings."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mask_embed = MLP(dim, dim, dim, dim)


class SegmentationHead(nn.Module):
    """Official `UniversalSegmentationHead`: instance masks of queries and a semantic mask of the whole prompt."""

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
        """Pixel decoder output (P, D, H_0, W_0) from image memory (P, H*W, D), prompt and finer levels or laterals."""
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
        """queries (P, Q, D) on pixels (P, D, H, W) -> mask logits (P, Q, H, W)."""
        kernels, offsets = self._kernels(queries)
        return _apply(kernels, offsets, pixels)

    def masks_and_semantic(self, queries: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits (P, Q, H, W) of queries (P, Q, D) and semantic logits (P, 1, H, W), in one product."""
        kernels, offsets = self._kernels(queries)
        weight, bias = (p.view(1, 1, -1).expand(len(queries), -1, -1) for p in self.semantic_seg_head.parameters())
        maps = _apply(torch.cat((kernels, weight), dim=1), torch.cat((offsets, bias), dim=1), pixels)
        masks, semantic = maps.split((queries.shape[1], 1), dim=1)
        return masks, semantic

    def _kernels(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (P, Q, D) and offsets (P, Q, 1) whose product with the pixel decoder's output is the mask.

        The 1x1 convolution `instance_seg_head` is applied to the queries instead of to the pixels: the product is the
        same and there are far fewer queries.
        """
        embedded = self.mask_predictor.mask_embed(queries)  # (P, Q, D)
        weight, bias = self.instance_seg_head.parameters()
        return torch.matmul(embedded, weight.flatten(1)), torch.matmul(embedded, bias).unsqueeze(-1)


def _gather(level: Tensor, image_index: Tensor) -> Tensor:
    """Rows of a (B, D, H, W) map that lies channels last in memory, without changing that: several times faster."""
    return level.permute(0, 2, 3, 1).index_select(0, image_index).permute(0, 3, 1, 2)


def _apply(kernels: Tensor, offsets: Tensor, pixels: Tensor) -> Tensor:
    return torch.baddbmm(offsets, kernels, pixels.flatten(2)).unflatten(-1, pixels.shape[-2:])
