"""From an image embedding and prompt tokens to masks, their predicted IoUs and an object score (official name)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import InteractiveConfig
from sam3model.interactive.two_way_transformer import TwoWayTransformer
from sam3model.layers.convolution import Conv2d, UpConv2d
from sam3model.layers.mlp import MLP
from sam3model.layers.norm import LayerNorm2d

MASK_TOKENS = 4
"""One token for a single mask, then three for candidates of an ambiguous prompt."""


@dataclass(frozen=True, slots=True)
class DecodedMasks:
    """Output of the mask decoder for N objects; index 0 is the single mask, 1..3 are the candidates.

    masks (N, 4, h, w) logits. ious (N, 4) predicted IoU, 0..1. tokens (N, 4, D). object_scores (N, 1) logits, above
    zero if the object is visible.
    """

    masks: Tensor
    ious: Tensor
    tokens: Tensor
    object_scores: Tensor


class MaskDecoder(nn.Module):
    """Official `MaskDecoder`, with high-resolution features and an object score."""

    def __init__(self, dim: int, config: InteractiveConfig) -> None:
        super().__init__()
        width = config.mask_width or dim // 8
        self.config = config
        self.transformer = TwoWayTransformer(dim, config)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, dim)
        self.obj_score_token = nn.Embedding(1, dim)
        self.output_upscaling = nn.Sequential(
            UpConv2d(dim, 2 * width, 2),
            LayerNorm2d(2 * width),
            nn.GELU(),
            UpConv2d(2 * width, width, 2),
            nn.GELU(),
        )
        self.conv_s0 = Conv2d(dim, width, 1)
        self.conv_s1 = Conv2d(dim, 2 * width, 1)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim, width) for _ in range(MASK_TOKENS))
        hidden = [config.iou_hidden] * (config.iou_depth - 1)
        self.iou_prediction_head = MLP(dim, *hidden, MASK_TOKENS)
        self.pred_obj_score_head = MLP(dim, dim, dim, 1)

    def forward(
        self, image: Tensor, position: Tensor, sparse: Tensor, dense: Tensor, high_res: tuple[Tensor, Tensor]
    ) -> DecodedMasks:
        """All masks of N objects.

        Args:
            image: (N, D, g, g), or (1, D, g, g) if all objects are in the same image.
            position: (1, D, g, g).
            sparse: (N, K, D) tokens of points and boxes.
            dense: (N, D, g, g), added to the image.
            high_res: features after `conv_s0` (N or 1, W, 4g, 4g) and `conv_s1` (N or 1, 2W, 2g, 2g).
        """
        own = torch.cat((self.obj_score_token.weight, self.iou_token.weight, self.mask_tokens.weight))
        prompts = torch.cat((own.expand(len(sparse), -1, -1), sparse), dim=1)
        tokens, cells = self.transformer(image + dense, position, prompts)
        mask_tokens = tokens[:, 2 : 2 + MASK_TOKENS]
        maps = self._upscale(cells.transpose(1, 2).unflatten(2, image.shape[-2:]), high_res)
        kernels = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )  # (N, 4, W)
        return DecodedMasks(
            masks=(kernels @ maps.flatten(2)).unflatten(2, maps.shape[-2:]),
            ious=self.iou_prediction_head(tokens[:, 1]).float().sigmoid(),
            tokens=mask_tokens,
            object_scores=self.pred_obj_score_head(tokens[:, 0]).float(),
        )

    def single_mask(self, decoded: DecodedMasks) -> tuple[Tensor, Tensor]:
        """The mask for an unambiguous prompt, (N, 1, h, w), and its IoU, (N, 1).

        It is the single mask if that is stable, else the best candidate (`_dynamic_multimask_via_stability`). In
        training it is always the single mask, as in the official code.
        """
        if self.training:
            return decoded.masks[:, :1], decoded.ious[:, :1]
        best = decoded.ious[:, 1:].argmax(-1) + 1
        chosen = torch.where(self.stability(decoded.masks[:, 0]) >= self.config.stability_threshold, 0, best)
        rows = torch.arange(len(chosen), device=chosen.device)
        return decoded.masks[rows, chosen].unsqueeze(1), decoded.ious[rows, chosen].unsqueeze(1)

    def stability(self, logits: Tensor) -> Tensor:
        """Area above +delta over area above -delta of mask logits (N, h, w) -> (N,); 1 if the latter is empty."""
        delta = self.config.stability_delta
        flat = logits.flatten(1)
        inner, outer = (flat > delta).sum(-1).float(), (flat > -delta).sum(-1).float()
        return torch.where(outer > 0, inner / outer.clamp(min=1), torch.ones_like(inner))

    def _upscale(self, image: Tensor, high_res: tuple[Tensor, Tensor]) -> Tensor:
        """Image (N, D, g, g) -> (N, W, 4g, 4g)."""
        first, norm, _, second, _ = self.output_upscaling
        fine, middle = high_res
        return F.gelu(second(F.gelu(norm(first(image) + middle))) + fine)
