"""The pre-norm transformer layer shared by the fusion encoder and the geometry encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.attention import MultiheadAttention


class EncoderLayer(nn.Module):
    """Self-attention, cross-attention to a memory, ReLU MLP; each pre-norm and residual (`TransformerEncoderLayer`).

    The three steps are methods, because self-attention may run on fewer rows than the rest.
    `cross_attn_image` keeps its official name; in the fusion encoder it attends to the prompt.
    """

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(dim, heads, dropout)
        self.cross_attn_image = MultiheadAttention(dim, heads, dropout)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def attend_self(self, x: Tensor, *, position: Tensor | None = None, padding: Tensor | None = None) -> Tensor:
        """x (P, K, D) with positions (P or 1, K, D) added to queries and keys; padding (P, K)."""
        value = self.norm1(x)
        key = value if position is None else value + position
        return x + self.dropout(self.self_attn(key, key, value, key_padding_mask=padding))

    def attend_memory(
        self,
        x: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        padding: Tensor | None = None,
        key_index: Tensor | None = None,
    ) -> Tensor:
        """x (P, K, D) to the memory `key`, `value` (P', M, D); padding (P, M). See `MultiheadAttention`."""
        query = self.norm2(x)
        attended = self.cross_attn_image(query, key, value, key_padding_mask=padding, key_index=key_index)
        return x + self.dropout(attended)

    def feed_forward(self, x: Tensor) -> Tensor:
        """(P, K, D) -> (P, K, D)."""
        hidden = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(hidden))
