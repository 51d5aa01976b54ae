"""Scaled dot-product attention, by the faster way for the device and the purpose."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MANY_QUERIES = 256
"""From here on torch's CPU kernel reads keys so often that laying out each head in one piece pays, by 5 to 20 %."""


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False
) -> Tensor:
    """softmax(query key^T / sqrt(C) + mask) value, (B, heads, Q, C) with keys (B, heads, K, C).

    mask: broadcastable to (B, heads, Q, K); boolean (True = attend) or float, added to the scores.
    causal: a query sees no later key; not together with a mask.
    Training on a CPU takes plain matrix products: torch's fused kernel is 3 to 15 times slower there, mostly backwards.
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, causal)
    if not (torch.is_grad_enabled() and query.requires_grad):
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
        mask = mask.to(query.dtype)  # else the weights, and not the values, would have the mask's precision
    return _PlainAttention.apply(query, key, value, mask)  # type: ignore[no-any-return]


def _scores(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    scores = torch.matmul(query, key.transpose(-1, -2))  # (B, heads, Q, K)
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


class _PlainAttention(torch.autograd.Function):
    """Attention as plain products, with the gradient of the softmax written out.

    The sum over keys in that gradient is that of output times its gradient, over channels (FlashAttention,
    arXiv 2205.14135), which are few: what is left for each score is one difference and one product. In bfloat16 this
    takes 10 to 30 % off attention's time on a CPU.
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
