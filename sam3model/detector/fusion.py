"""Fusion encoder: image tokens attend to each other and to the prompt."""

from functools import partial

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam3model.config import DetectorConfig
from sam3model.layers.init import xavier_
from sam3model.layers.transformer import EncoderLayer
from sam3model.structures import ImageFeatures, PromptTokens


class FusionEncoder(nn.Module):
    """Official `TransformerEncoderFusion`: pre-norm layers without a final norm.

    `checkpointing` recomputes the layers in the backward pass to save memory.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(config.d_model, config.heads, config.fusion.ffn, config.dropout)
            for _ in range(config.fusion.layers)
        )
        self.checkpointing = False
        xavier_(self)

    def forward(self, features: ImageFeatures, prompt: PromptTokens, image_index: Tensor) -> Tensor:
        """Image features of the last level and P prompts -> memory (P, H*W, D).

        The first self-attention does not depend on the prompt, so it runs once per image.
        """
        x = features.levels[-1].flatten(2).transpose(1, 2)  # (B, H*W, D)
        position = features.positions[-1].flatten(2).transpose(1, 2)  # (1, H*W, D)
        rows: Tensor | None = image_index
        for layer in self.layers:
            step = partial(layer, position=position, memory_padding=prompt.mask, rows=rows)
            if self.checkpointing and self.training:
                x = checkpoint(step, x, prompt.tokens, prompt.tokens, use_reentrant=False)
            else:
                x = step(x, prompt.tokens, prompt.tokens)  # (P, H*W, D)
            rows = None
        return x
