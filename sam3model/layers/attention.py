"""Multi-head attention, batch-first, with the parameter names of `torch.nn.MultiheadAttention`."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3model.layers.linear import Linear
from sam3model.ops.attend import attend
from sam3model.ops.weighted import weighted


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention with `heads` heads over `dim` channels.

    Parameters are `in_proj_weight` (3*dim, dim: query, key, value), `in_proj_bias` and `out_proj.{weight,bias}`.
    Dropout is applied to the attention weights.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is not a multiple of {heads} heads")
        self.dim, self.heads, self.dropout = dim, heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = Linear(dim, dim)
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
        key_index: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Attend from `query` (B, Q, D) to `key`, `value` (B', K, D); returns (B, Q, D).

        B' is B, or 1 for keys shared by the whole batch, or any number if `key_index` (B,) gives the row of keys of
        each query. Shared keys are projected once.
        key_padding_mask: (B, K) bool, True = ignored.
        bias: float, added to the scores, broadcastable to (B, heads, Q, K).
        causal: a query does not attend to later keys; cannot be combined with padding or bias.
        """
        q, k, v = self._project(query, key, value)
        if k.shape[0] == 1:
            k, v = k.expand(q.shape[0], -1, -1, -1), v.expand(q.shape[0], -1, -1, -1)
        elif key_index is not None:
            k, v = k.index_select(0, key_index), v.index_select(0, key_index)
        mask = _additive_mask(key_padding_mask, bias, q.dtype)
        out = attend(q, k, v, mask, self.dropout if self.training else 0.0, causal)  # (B, heads, Q, D/heads)
        return self.out_proj(out.transpose(1, 2).flatten(2))  # (B, Q, D)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project and split into heads, with one matrix product for inputs that are the same tensor."""
        d, product = self.dim, self._product()
        if query is key and key is value:
            q, k, v = product(query, slice(0, 3 * d)).chunk(3, dim=-1)
        elif query is key:
            q, k = product(query, slice(0, 2 * d)).chunk(2, dim=-1)
            v = product(value, slice(2 * d, 3 * d))
        elif key is value:
            q = product(query, slice(0, d))
            k, v = product(key, slice(d, 3 * d)).chunk(2, dim=-1)
        else:
            q, k, v = (product(x, slice(i * d, (i + 1) * d)) for i, x in enumerate((query, key, value)))
        return self._heads(q), self._heads(k), self._heads(v)

    def _product(self) -> Callable[[Tensor, slice], Tensor]:
        """The product of tokens (..., D) with some rows of the input weights, read once: they may be adapted."""
        weight, bias = self.in_proj_weight, self.in_proj_bias
        return lambda x, rows: weighted(F.linear, x, weight[rows], bias[rows])

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, K, D/heads)


def _additive_mask(padding: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """One attention mask: boolean (True = attend) for padding alone, else float in the dtype of the queries."""
    if padding is None:
        return None if bias is None else bias.to(dtype)
    if bias is None:
        return ~padding[:, None, None, :]
    return bias.to(dtype).masked_fill(padding[:, None, None, :], float("-inf"))
