"""Attention on a CPU as plain matrix products over blocks of queries, for processors where torch's kernel is slow.

Measured on an AMD Zen 4 (AVX-512 with BF16, no AMX) in bfloat16, GFLOP/s of torch's kernel and of blocks: heads of 64
and 5,184 tokens 77 and 129, 576 tokens 69 and 113; heads of 32, 65 and 95, 58 and 83. Below 256 tokens torch's kernel
is the faster one. Processors that only emulate bfloat16 are the other way round (AMD Zen 3: 52 and 2).
`python -m benchmarks.kernels` measures any machine, and says where the rule is wrong.
"""

import torch
from torch import Tensor

from sam3model.devices import cpu_has

SCORES = 2**20
"""Scores of a head that are computed at a time: 2 MB in bfloat16, which a core's cache holds."""

MIN_QUERIES = 64
"""Fewer queries at a time make slow products, however many keys there are."""

MIN_TOKENS = 512
MIN_HEAD = 32
"""Smaller attentions keep torch's kernel."""


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


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, block: int | None = None) -> Tensor:
    """softmax(query key^T / sqrt(C)) value: (1 or B, heads, Q, C), keys (B, heads, K, C), values (B, heads, K, V).

    Returns (B, heads, Q, V). Without gradients. As many heads as there are threads are computed at once; the memory
    beyond the output is copies of these heads and their scores, (heads at once, block, K).

    block: queries at a time; None: as many as `SCORES` allows.
    """
    batch, heads, keys_count, channels = key.shape
    queries = query.shape[2]
    block = min(queries, block or max(MIN_QUERIES, SCORES // keys_count // MIN_QUERIES * MIN_QUERIES))
    together = min(heads, torch.get_num_threads())
    out = query.new_empty(batch, heads, queries, value.shape[-1])
    room = query.new_empty(together * block * keys_count)
    scaled = (query * channels**-0.5).expand(batch, -1, -1, -1)
    for row in range(batch):
        for head in range(0, heads, together):
            some = slice(head, head + together)
            keys = key[row, some].transpose(-1, -2)
            if queries > block:
                keys = keys.contiguous()  # laid out once for all blocks
            values = value[row, some].contiguous()
            for start in range(0, queries, block):
                own = scaled[row, some, start : start + block]
                scores = room[: own[..., 0].numel() * keys_count].view(*own.shape[:2], keys_count)
                _multiply(own, keys, scores)
                torch.softmax(scores, dim=-1, out=scores)
                _multiply(scores, values, out[row, some, start : start + block])
    return out


def _multiply(left: Tensor, right: Tensor, out: Tensor) -> None:
    """Products of matrices (n, rows, inner) and (n, inner, columns); of a single pair, `mm` is a tenth faster."""
    if len(left) == 1:
        torch.mm(left[0], right[0], out=out[0])
    else:
        torch.bmm(left, right, out=out)
