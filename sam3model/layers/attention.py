"""Multi-head attention, batch-first, with the parameter names of `torch.nn.MultiheadAttention`."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention with `heads` heads over `dim` channels.

    Parameters are `in_proj_weight` (3*dim, dim; query, key, value in this order), `in_proj_bias`, `out_proj.{weight,bias}`.
    Dropout acts on the attention weights, in training only.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide width {dim}")
        self.dim, self.heads, self.dropout = dim, heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        key_padding_mask: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend from `query` (B, Q, D) to `key`, `value` (B or 1, K, D); returns (B, Q, D).

        Keys of batch 1 are projected once and shared by the whole batch.
        key_padding_mask: (B, K) bool, True = ignored. bias: float, added to the scores, broadcastable to (B, heads, Q, K).
        causal: a query sees no later key; not together with the other two.
        """
        q, k, v = self._project(query, key, value)
        mask = _additive_mask(key_padding_mask, bias, q.dtype)
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0, is_causal=causal
        )  # (B, heads, Q, D/heads)
        return self.out_proj(out.transpose(1, 2).flatten(2))  # (B, Q, D)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project and split into heads, with as few matrix products as the shared inputs allow."""
        d, w, b = self.dim, self.in_proj_weight, self.in_proj_bias
        if query is key and key is value:
            q, k, v = F.linear(query, w, b).chunk(3, dim=-1)
        elif query is key:
            q, k = F.linear(query, w[: 2 * d], b[: 2 * d]).chunk(2, dim=-1)
            v = F.linear(value, w[2 * d :], b[2 * d :])
        elif key is value:
            q = F.linear(query, w[:d], b[:d])
            k, v = F.linear(key, w[d:], b[d:]).chunk(2, dim=-1)
        else:
            q = F.linear(query, w[:d], b[:d])
            k = F.linear(key, w[d : 2 * d], b[d : 2 * d])
            v = F.linear(value, w[2 * d :], b[2 * d :])
        batch = query.shape[0]
        return self._heads(q, batch), self._heads(k, batch), self._heads(v, batch)

    def _heads(self, x: Tensor, batch: int) -> Tensor:
        x = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B or 1, heads, K, D/heads)
        return x.expand(batch, -1, -1, -1)


def _additive_mask(padding: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """One mask for the scores: boolean (True = attend) if there is padding only, else float in the dtype of the queries."""
    if padding is None:
        return None if bias is None else bias.to(dtype)
    if bias is None:
        return ~padding[:, None, None, :]
    return bias.to(dtype).masked_fill(padding[:, None, None, :], float("-inf"))
