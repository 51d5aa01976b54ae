"""The transformer of the mask decoder: prompt tokens and image cells attend to each other (official name)."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import InteractiveConfig
from sam3model.layers.linear import Linear
from sam3model.layers.projected_attention import ProjectedAttention


class TwoLayerMLP(nn.Module):
    """Linear, ReLU, linear; parameters `lin1` and `lin2` (official `MLPBlock`)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = Linear(dim, hidden)
        self.lin2 = Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayAttentionBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, MLP, image to tokens; each followed by a norm (official name)."""

    def __init__(self, dim: int, config: InteractiveConfig) -> None:
        super().__init__()
        inner = dim // config.attention_downsample
        self.self_attn = ProjectedAttention(dim, config.heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = ProjectedAttention(dim, config.heads, inner)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = TwoLayerMLP(dim, config.mlp)
        self.norm3 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = ProjectedAttention(dim, config.heads, inner)
        self.norm4 = nn.LayerNorm(dim)

    def forward(
        self, tokens: Tensor, image: Tensor, prompts: Tensor, position: Tensor, first: bool
    ) -> tuple[Tensor, Tensor]:
        """Tokens (N, K, D) and image cells (N, H*W, D) -> the same shapes.

        prompts (N, K, D) and position (1, H*W, D) are added to queries and keys. In the `first` block, self-attention
        replaces the tokens, which then are the prompts themselves.
        """
        if first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            query = tokens + prompts
            tokens = tokens + self.self_attn(query, query, tokens)
        tokens = self.norm1(tokens)
        key = image + position
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompts, key, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(key, tokens + prompts, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Official `TwoWayTransformer`: blocks, then a last attention of the tokens to the image."""

    def __init__(self, dim: int, config: InteractiveConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayAttentionBlock(dim, config) for _ in range(config.depth))
        inner = dim // config.attention_downsample
        self.final_attn_token_to_image = ProjectedAttention(dim, config.heads, inner)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, image: Tensor, position: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Image (N, D, H, W), its position code (1, D, H, W), prompt tokens (N, K, D).

        Returns:
            tokens (N, K, D) and image cells (N, H*W, D).
        """
        cells, code = image.flatten(2).transpose(1, 2), position.flatten(2).transpose(1, 2)
        tokens = prompts
        for index, layer in enumerate(self.layers):
            tokens, cells = layer(tokens, cells, prompts, code, first=index == 0)
        attended = self.final_attn_token_to_image(tokens + prompts, cells + code, cells)
        return self.norm_final_attn(tokens + attended), cells
