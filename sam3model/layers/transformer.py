"""The pre-norm transformer layer shared by the fusion encoder and the geometry encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.linear import Linear


class EncoderLayer(nn.Module):
    """Self-attention, cross-attention to a memory, and ReLU MLP, each pre-norm and residual.

    Names are the official ones (`TransformerEncoderLayer`). In the fusion encoder, `cross_attn_image` attends to the
    prompt.
    """

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(dim, heads, dropout)
        self.cross_attn_image = MultiheadAttention(dim, heads, dropout)
        self.linear1 = Linear(dim, ffn)
        self.linear2 = Linear(ffn, dim)
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
        """Tokens x (P, K, D) attend to each other and to a memory `key`, `value` (P', M, D); returns (P, K, D).

        position (P or 1, K, D) is added to the queries and keys of self-attention.
        padding (P, K) and memory_padding (P, M): True = ignored.
        memory_index (P,): memory row of each row of x.
        rows (P,): row of x for each prompt, if prompts share rows of x until after self-attention.
        """
        value_in = self.norm1(x)
        query = value_in if position is None else value_in + position.to(value_in.dtype)
        x = x + self.dropout(self.self_attn(query, query, value_in, key_padding_mask=padding))
        x = x if rows is None else x.index_select(0, rows)
        attended = self.cross_attn_image(
            self.norm2(x), key, value, key_padding_mask=memory_padding, key_index=memory_index
        )
        x = x + self.dropout(attended)
        hidden = self.dropout(F.relu(self.linear1(self.norm3(x)), inplace=True))
        return x + self.dropout(self.linear2(hidden))
