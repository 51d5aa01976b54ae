"""Attention with separate projections and its own inner width, as in the mask decoder and the memory attention."""

from torch import Tensor, nn

from sam3model.layers.linear import Linear
from sam3model.ops.attend import attend
from sam3model.ops.rope import rotate_heads


class ProjectedAttention(nn.Module):
    """Multi-head attention with parameters `q_proj`, `k_proj`, `v_proj`, `out_proj` (official `Attention`).

    dim: width of queries and output. key_dim: width of keys and values. inner: width of the heads together.
    """

    def __init__(self, dim: int, heads: int, inner: int | None = None, key_dim: int | None = None) -> None:
        super().__init__()
        inner = dim if inner is None else inner
        key_dim = dim if key_dim is None else key_dim
        if inner % heads:
            raise ValueError(f"inner width {inner} is not a multiple of {heads} heads")
        self.heads = heads
        self.q_proj = Linear(dim, inner)
        self.k_proj = Linear(key_dim, inner)
        self.v_proj = Linear(key_dim, inner)
        self.out_proj = Linear(inner, dim)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        query_table: Tensor | None = None,
        key_table: Tensor | None = None,
        rotated_keys: int | None = None,
        dropout: float = 0.0,
    ) -> Tensor:
        """(B, Q, D), (B, K, Dk), (B, K, Dk) -> (B, Q, D).

        query_table, key_table: rotary tables of `ops.rope.grid_table`. rotated_keys: number of keys from the start that
        are rotated; None means all.
        """
        q, k, v = self._split(self.q_proj(query)), self._split(self.k_proj(key)), self._split(self.v_proj(value))
        if query_table is not None:
            q = rotate_heads(q, query_table)
        if key_table is not None:
            k = rotate_heads(k, key_table, rotated_keys)
        out = attend(q, k, v, dropout=dropout if self.training else 0.0)  # (B, heads, Q, C)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, K, C)
