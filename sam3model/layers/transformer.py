"""The pre-norm transformer layer shared by the fusion encoder and the geometry encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.attention import MultiheadAttention


class EncoderLayer(nn.Module):
    """Self-attention, cross-attention to a memory, ReLU MLP; each pre-norm and residual (`TransformerEncoderLayer`).

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

    def forward(
        self,
        x: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        position: Tensor | None = None,
        padding: Tensor | None = None,
        memory_padding: Tensor | None = None,
        memory_index: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Tokens x (P, K, D) look at each other and at a memory `key`, `value` (P', M, D); returns (P, K, D).

        position (P or 1, K, D) is added to queries and keys of self-attention. padding (P, K), memory_padding (P, M).
        memory_index (P,) names the memory row of each x row. rows (P,): x has fewer rows, which are spread to P rows
        after self-attention, the last point where they are alike.
        """
        talk = self.norm1(x)
        placed = talk if position is None else talk + position.to(talk.dtype)
        x = x + self.dropout(self.self_attn(placed, placed, talk, key_padding_mask=padding))
        x = x if rows is None else x.index_select(0, rows)
        looked = self.cross_attn_image(
            self.norm2(x), key, value, key_padding_mask=memory_padding, key_index=memory_index
        )
        x = x + self.dropout(looked)
        hidden = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(hidden))
