"""Attention on a CPU as plain matrix products over blocks of queries, for processors where torch's kernel is slow.

The rule rests on one measurement before this code was written: AMD Zen 5 (AVX-512 with BF16, no AMX), one thread, 16
heads of 64 and 5,184 tokens in bfloat16: torch's kernel 86 to 91 GFLOP/s, plain products over blocks of 192 queries
206. Processors that only emulate bfloat16 are the other way round (AMD Zen 3: 52 and 2). `python -m benchmarks.kernels`
measures any machine, and says where the rule is wrong.
"""

import torch
from torch import Tensor

from sam3model.devices import cpu_has

BLOCK = 192
"""Queries at a time: their scores for 5,184 keys are 2 MB, which a core's cache holds."""

MIN_TOKENS = 4096
MIN_HEAD = 64
"""Smaller attentions have not been measured, and keep torch's kernel."""


def prefers_blocks(query: Tensor, key: Tensor) -> bool:
    """Whether blocks are the faster way for query (..., Q, C) and key (..., K, C) here. Not for training or masks."""
    return (
        query.device.type == "cpu"
        and query.dtype == key.dtype == torch.bfloat16
        and query.shape[-1] >= MIN_HEAD
        and min(query.shape[-2], key.shape[-2]) >= MIN_TOKENS
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and cpu_has("avx512_bf16")
        and not cpu_has("amx_tile")
    )


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, block: int = BLOCK) -> Tensor:
    """softmax(query key^T / sqrt(C)) value: (1 or B, heads, Q, C), keys (B, heads, K, C), values (B, heads, K, V).

    Returns (B, heads, Q, V). Without gradients. The memory beyond the output and copies of one head is one block of
    scores, (block, K).
    """
    batch, heads, keys_count, channels = key.shape
    queries = query.shape[2]
    out = query.new_empty(batch, heads, queries, value.shape[-1])
    room = query.new_empty(min(block, queries), keys_count)
    scaled = query * channels**-0.5
    for row in range(batch):
        for head in range(heads):
            keys = key[row, head].T
            if queries > block:
                keys = keys.contiguous()  # laid out once for all blocks
            values = value[row, head].contiguous()
            own = scaled[row if len(scaled) > 1 else 0, head]
            for start in range(0, queries, block):
                some = own[start : start + block]
                scores = torch.mm(some, keys, out=room[: len(some)])
                torch.softmax(scores, dim=-1, out=scores)
                torch.mm(scores, values, out=out[row, head, start : start + block])
    return out
