"""Scaled dot-product attention with the fastest implementation for the device, in training and inference."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sam3model.ops.blocked_attention import attend_in_blocks, prefers_blocks

MANY_QUERIES = 256
"""From this number on, contiguous heads make torch's CPU kernel 5 to 20 % faster."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False
) -> Tensor:
    """softmax(query key^T / sqrt(C) + mask) value, (B, heads, Q, C) with keys (B, heads, K, C).

    mask: broadcastable to (B, heads, Q, K); boolean (True = attend) or float, added to the scores.
    causal: a query does not attend to later keys; cannot be combined with a mask.
    Training on a CPU uses plain matrix products: torch's fused kernel is 3 to 15 times slower there, mostly backward.
    So does bfloat16 over many tokens, on the processors of `ops.blocked_attention`.
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, causal)
    if not (torch.is_grad_enabled() and query.requires_grad):
        if mask is None and not causal and not dropout and not torch.is_grad_enabled() and prefers_blocks(query, key):
            return attend_in_blocks(query, key, value)
        if query.shape[-2] >= MANY_QUERIES:
            query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, causal)
    if causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    query = query * query.shape[-1] ** -0.5
    if dropout > 0:
        weights = _scores(query, key, mask).softmax(-1)
        return torch.matmul(F.dropout(weights, dropout), value)
    if torch.is_autocast_enabled("cpu"):
        precision = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(precision), key.to(precision), value.to(precision)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)  # else the mask would raise the precision of the attention weights
    return _PlainAttention.apply(query, key, value, mask)  # type: ignore[no-any-return]


def _scores(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    scores = torch.matmul(query, key.transpose(-1, -2))  # (B, heads, Q, K)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


class _PlainAttention(torch.autograd.Function):
    """Attention as plain matrix products with a handwritten softmax gradient.

    As in FlashAttention (arXiv 2205.14135), the sum over keys in that gradient equals the sum over channels of the
    output times its gradient, which is far shorter. In bfloat16 on a CPU attention gets 10 to 30 % faster.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        weights = _scores(query, key, mask).softmax(-1)  # (B, heads, Q, K)
        out = torch.matmul(weights, value)
        ctx.save_for_backward(query, key, value, weights, out)
        ctx.mask = None if mask is None else mask.shape
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        query, key, value, weights, out = ctx.saved_tensors
        inner = (grad * out).sum(-1, keepdim=True)  # (B, heads, Q, 1)
        slope = torch.matmul(grad, value.transpose(-1, -2)).sub_(inner).mul_(weights)  # (B, heads, Q, K)
        return (
            torch.matmul(slope, key),
            torch.matmul(slope.transpose(-1, -2), query),
            torch.matmul(weights.transpose(-1, -2), grad),
            slope.sum_to_size(ctx.mask) if ctx.needs_input_grad[3] else None,
        )
