"""The image embedding of a frame attends to the memory of each object (official `TransformerEncoderCrossAttention`)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.config import TrackerConfig
from sam3model.layers.linear import Linear
from sam3model.layers.projected_attention import ProjectedAttention
from sam3model.ops.blocked_attention import attend_in_blocks
from sam3model.ops.rope import grid_table, rotate_heads

QUERIES_AT_ONCE = 576
"""Queries of a block of attention on a CPU: 84 MB of scores for the 36,352 keys of the released size. Fewer are slower
(AMD Zen 3, two threads, released size: 128 queries 1.87 s, 288 1.45 s, 576 1.27 s; torch's own kernel 1.45 s).
"""


class MemoryCrossAttention(ProjectedAttention):
    """Attention of image cells to memory, whose values are much narrower than the heads.

    Since the weights of a query sum to 1, its values may be summed before they are projected: attention over the
    memory itself, then `v_proj`. With the released sizes this halves the work on a CPU.
    """

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query: Tensor, key: Tensor, value: Tensor, *, table: Tensor, rotated_keys: int
    ) -> Tensor:
        """(1 or N, Q, D), keys and values (N, K, M) -> (N, Q, D). `table` rotates the first `rotated_keys` keys."""
        if self.heads > 1 or query.device.type != "cpu" or torch.is_grad_enabled():
            query = query.expand(len(key), -1, -1)
            return super().forward(query, key, value, query_table=table, key_table=table, rotated_keys=rotated_keys)
        q = rotate_heads(self._split(self.q_proj(query)), table)
        k = rotate_heads(self._split(self.k_proj(key)), table, rotated_keys)
        memory = attend_in_blocks(q, k, value[:, None].to(q.dtype), QUERIES_AT_ONCE).squeeze(1)
        return self.out_proj(self.v_proj(memory))


class MemoryAttentionLayer(nn.Module):
    """Self-attention, attention to memory, and ReLU MLP, each pre-norm and residual; rotary position codes."""

    def __init__(self, dim: int, config: TrackerConfig) -> None:
        super().__init__()
        self.self_attn = ProjectedAttention(dim, config.heads)
        self.cross_attn_image = MemoryCrossAttention(dim, config.heads, key_dim=config.memory_dim)
        self.linear1 = Linear(dim, config.ffn)
        self.linear2 = Linear(config.ffn, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, x: Tensor, memory: Tensor, position: Tensor, table: Tensor, rotated_keys: int) -> Tensor:
        """Cells x (1 or N, Q, D) and memory (N, K, M) with its position code -> (N, Q, D)."""
        inner = self.norm1(x)
        x = x + self.dropout(self.self_attn(inner, inner, inner, query_table=table, key_table=table))
        attended = self.cross_attn_image(
            self.norm2(x), memory + position, memory, table=table, rotated_keys=rotated_keys
        )
        x = x + self.dropout(attended)
        return x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(self.norm3(x)), inplace=True))))


class MemoryAttention(nn.Module):
    """All layers and the final norm."""

    def __init__(self, dim: int, config: TrackerConfig) -> None:
        super().__init__()
        self.heads, self.theta = config.heads, config.rope_theta
        self.layers = nn.ModuleList(MemoryAttentionLayer(dim, config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, embedding: Tensor, code: Tensor, memory: Tensor, position: Tensor, rotated_keys: int) -> Tensor:
        """Embedding of one frame conditioned on the memory of N objects.

        Args:
            embedding: (1 or N, D, g, g); with 1, the first self-attention is shared by all objects.
            code: (1, D, g, g) sine position code of the embedding.
            memory: (N, K, M) tokens: whole maps of g*g cells, then object pointers.
            position: (N or 1, K, M) position code of the memory.
            rotated_keys: number of tokens in whole maps.

        Returns:
            (N, D, g, g).
        """
        height, width = embedding.shape[-2:]
        cells = (embedding + 0.1 * code).flatten(2).transpose(1, 2)  # (1 or N, g*g, D)
        table = grid_table(height, width, cells.shape[-1] // self.heads, self.theta, cells.device)
        for layer in self.layers:
            cells = layer(cells, memory, position, table, rotated_keys)
        return self.norm(cells).transpose(1, 2).unflatten(2, (height, width))
