"""Attention in blocks of queries: equal to torch's kernel, and chosen only where it was measured to be faster."""

import pytest
import torch
import torch.nn.functional as F

from sam3model.ops import attend as attend_module
from sam3model.ops.attend import attend
from sam3model.ops.blocked_attention import MIN_HEAD, MIN_TOKENS, SCORES, attend_in_blocks, prefers_blocks

BLOCK = 32


def some_inputs(queries: int = 40, keys: int = 50, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, n, 16).to(dtype) for n in (queries, keys, keys)]


@pytest.fixture(params=[1, 2])
def threads(request):
    """One thread computes a head at a time, two compute two, of which the last pair here is a single one."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@torch.inference_mode()
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("queries", [1, BLOCK - 1, BLOCK, 2 * BLOCK + 7])
def test_blocks_of_any_number_agree_with_torch(queries: int) -> None:
    inputs = some_inputs(queries)
    torch.testing.assert_close(attend_in_blocks(*inputs, block=BLOCK), F.scaled_dot_product_attention(*inputs))


@torch.inference_mode()
@pytest.mark.usefixtures("threads")
def test_heads_that_lie_apart_in_memory_and_narrow_values_agree_too() -> None:
    query, key, value = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in some_inputs(2 * BLOCK))
    expected = F.scaled_dot_product_attention(query, key, value[..., :8])
    torch.testing.assert_close(attend_in_blocks(query, key, value[..., :8], block=BLOCK), expected)


@torch.inference_mode()
def test_a_block_has_as_many_queries_as_the_cache_holds_scores(monkeypatch) -> None:
    rows = []

    def counted(scores: torch.Tensor, dim: int, out: torch.Tensor) -> torch.Tensor:
        rows.append(scores.shape[-2])
        return out.copy_(scores.softmax(dim))

    monkeypatch.setattr(torch, "softmax", counted)
    inputs = [torch.randn(1, 1, n, 4) for n in (700, SCORES // 256, SCORES // 256)]
    attend_in_blocks(*inputs)
    assert rows == [256, 256, 188]


@torch.inference_mode()
def test_bfloat16_is_as_close_to_float32_as_torchs_kernel() -> None:
    inputs = some_inputs(BLOCK + 5, 600)
    exact = F.scaled_dot_product_attention(*inputs)
    low = [x.bfloat16() for x in inputs]
    error, theirs = (
        (way(*low).float() - exact).square().mean().sqrt() / exact.std()
        for way in (attend_in_blocks, F.scaled_dot_product_attention)
    )
    assert attend_in_blocks(*low).dtype == torch.bfloat16
    assert error < 2 * theirs < 0.02, (error, theirs)


def processor(monkeypatch: pytest.MonkeyPatch, *instructions: str) -> None:
    """A processor with these instruction sets."""
    for name in ("amx_tile", "avx512_bf16", "vnni"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: name in instructions, raising=False)


@pytest.mark.parametrize(
    ("instructions", "chosen"),
    [((), False), (("vnni",), False), (("avx512_bf16",), True), (("avx512_bf16", "amx_tile"), False)],
)
def test_the_processor_decides(monkeypatch, instructions, chosen) -> None:
    processor(monkeypatch, *instructions)
    assert prefers_blocks(*shapes()) is chosen


def shapes(tokens: int = MIN_TOKENS, head: int = 64, dtype: torch.dtype = torch.bfloat16, device: str = "cpu"):
    one = torch.empty(1, 1, 1, head, dtype=dtype, device=device).expand(1, 2, tokens, head)
    return one, one


def test_precision_size_and_device_decide(monkeypatch) -> None:
    processor(monkeypatch, "avx512_bf16")
    assert prefers_blocks(*shapes())
    for other in (
        shapes(dtype=torch.float32), shapes(dtype=torch.float16), shapes(tokens=MIN_TOKENS - 1),
        shapes(head=MIN_HEAD - 1), shapes(device="meta"),
    ):  # fmt: skip
        assert not prefers_blocks(*other)
    with torch.autocast("cpu", torch.bfloat16):
        assert not prefers_blocks(*shapes())


def test_attend_uses_blocks_for_inference_without_masks_only(monkeypatch) -> None:
    taken = []

    def counted(*inputs: torch.Tensor) -> torch.Tensor:
        taken.append(1)
        return attend_in_blocks(*inputs)

    monkeypatch.setattr(attend_module, "prefers_blocks", lambda *_: True)
    monkeypatch.setattr(attend_module, "attend_in_blocks", counted)
    inputs = some_inputs(50)
    with torch.no_grad():
        torch.testing.assert_close(attend(*inputs), F.scaled_dot_product_attention(*inputs))
        assert len(taken) == 1
        attend(*inputs, causal=True)
        attend(*inputs, torch.ones(1, 1, 1, 50, dtype=torch.bool))
    attend(inputs[0], inputs[1].requires_grad_(), inputs[2]).sum().backward()
    assert len(taken) == 1 and inputs[1].grad is not None
