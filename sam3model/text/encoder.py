"""Text encoder: a causal transformer over byte-pair tokens, then a projection to the model width."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import TextConfig
from sam3model.errors import InputError
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.linear import Linear
from sam3model.structures import TextTokens
from sam3model.text.tokenizer import PAD_ID


class LayerScale(nn.Module):
    """Learned scale per channel."""

    def __init__(self, width: int, initial: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return x * self.gamma


class TextMlp(nn.Module):
    """Two linear layers with an exact GELU in between; CLIP's names."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = Linear(width, hidden)
        self.c_proj = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.c_proj(F.gelu(self.c_fc(x)))


class ResidualAttentionBlock(nn.Module):
    """Pre-norm block with causal attention."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        scale = config.layer_scale
        self.ln_1 = nn.LayerNorm(config.width, config.layer_norm_eps)
        self.attn = MultiheadAttention(config.width, config.heads)
        self.ls_1 = nn.Identity() if scale is None else LayerScale(config.width, scale)
        self.ln_2 = nn.LayerNorm(config.width, config.layer_norm_eps)
        self.mlp = TextMlp(config.width, round(config.width * config.mlp_ratio))
        self.ls_2 = nn.Identity() if scale is None else LayerScale(config.width, scale)
        self._initialise(config)

    def forward(self, x: Tensor) -> Tensor:
        """(P, T, C) -> (P, T, C)."""
        y = self.ln_1(x)
        x = x + self.ls_1(self.attn(y, y, y, causal=True))
        return x + self.ls_2(self.mlp(self.ln_2(x)))

    def _initialise(self, config: TextConfig) -> None:
        """Initialisation of CLIP: residual branches get smaller weights the deeper the model."""
        deviation = config.width**-0.5
        exit_deviation = deviation * (2 * config.layers) ** -0.5
        nn.init.normal_(self.attn.in_proj_weight, std=deviation)
        nn.init.normal_(self.attn.out_proj.weight, std=exit_deviation)
        nn.init.normal_(self.mlp.c_fc.weight, std=(2 * config.width) ** -0.5)
        nn.init.normal_(self.mlp.c_proj.weight, std=exit_deviation)
        nn.init.zeros_(self.mlp.c_fc.bias)
        nn.init.zeros_(self.mlp.c_proj.bias)


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(P, T, C) -> (P, T, C)."""
        for block in self.resblocks:
            x = block(x)
        return x


class TextTransformer(nn.Module):
    """Token ids to contextual tokens.

    `text_projection` (C, projection_dim) is part of the released weights, but never used.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, config.width))
        self.transformer = Transformer(config)
        self.ln_final = nn.LayerNorm(config.width, config.layer_norm_eps)
        self.text_projection = nn.Parameter(torch.empty(config.width, config.projection_dim))
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=config.width**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """(P, T) int64 -> (P, T, C)."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        return self.ln_final(self.transformer(x))


class VETextEncoder(nn.Module):
    """`encoder` (the transformer) and `resizer` (a linear layer to the model width)."""

    def __init__(self, config: TextConfig, d_model: int) -> None:
        super().__init__()
        self.context_length = config.context_length
        self.encoder = TextTransformer(config)
        self.resizer = Linear(config.width, d_model)

    def forward(self, ids: Tensor) -> TextTokens:
        """Token ids (P, T) int64 -> tokens (P, T, D) and padding mask (P, T).

        As in the release, every token with id 0 is masked, although `!` inside a word has that id too. The encoder
        itself needs no padding mask, since causal tokens do not attend to later ones.

        Raises:
            InputError: more tokens than the context length.
        """
        if ids.shape[1] > self.context_length:
            raise InputError(f"{ids.shape[1]} text tokens exceed the context length of {self.context_length}")
        return TextTokens(self.resizer(self.encoder(ids)), ids == PAD_ID)
