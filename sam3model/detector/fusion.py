"""Fusion encoder: the tokens of a picture attend to each other and to the prompt."""

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sam3model.config import DetectorConfig
from sam3model.layers.init import xavier_
from sam3model.layers.transformer import EncoderLayer
from sam3model.structures import ImageFeatures, PromptTokens


class FusionEncoder(nn.Module):
    """Official `TransformerEncoderFusion`: pre-norm layers without a final norm.

    checkpointing: recompute the layers in the backward pass instead of keeping their activations.
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

        The first self-attention has not seen the prompt yet: it runs once per picture, not once per prompt.
        """
        x = features.levels[-1].flatten(2).transpose(1, 2)  # (B, H*W, D)
        position = features.positions[-1].flatten(2).transpose(1, 2)  # (1, H*W, D)
        for i, layer in enumerate(self.layers):
            step = _first_layer if i == 0 else _layer
            arguments = (layer, x, position, prompt.tokens, prompt.mask, image_index)
            recompute = self.checkpointing and self.training
            x = checkpoint(step, *arguments, use_reentrant=False) if recompute else step(*arguments)
        return x


def _first_layer(
    layer: EncoderLayer, x: Tensor, position: Tensor, prompt: Tensor, mask: Tensor, index: Tensor
) -> Tensor:
    x = layer.attend_self(x, position=position)[index]  # (P, H*W, D)
    return layer.feed_forward(layer.attend_memory(x, prompt, prompt, padding=mask))


def _layer(layer: EncoderLayer, x: Tensor, position: Tensor, prompt: Tensor, mask: Tensor, _index: Tensor) -> Tensor:
    x = layer.attend_self(x, position=position)
    return layer.feed_forward(layer.attend_memory(x, prompt, prompt, padding=mask))
