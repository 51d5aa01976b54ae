"""Plain attention, used for training on a CPU, equals torch's fused kernel in values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from sam3model.ops.attend import attend


@pytest.mark.parametrize("kind", ["none", "boolean", "float", "causal"])
def test_both_implementations_agree(kind):
    torch.manual_seed(0)
    queries, keys = 5, 5
    inputs = [torch.randn(2, 3, n, 8, requires_grad=True) for n in (queries, keys, keys)]
    mask = {"boolean": torch.rand(2, 1, 1, keys) > 0.3, "float": torch.randn(2, 3, queries, keys)}.get(kind)
    if kind == "boolean":
        mask[..., 0] = True
    causal = kind == "causal"
    ours = attend(*inputs, mask, causal=causal)
    theirs = F.scaled_dot_product_attention(*inputs, mask, is_causal=causal)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((theirs * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_a_learned_bias_and_keys_get_gradients():
    torch.manual_seed(0)
    shapes = (2, 3, 4, 8), (2, 3, 6, 8), (2, 3, 6, 8), (2, 1, 4, 6)
    assert torch.autograd.gradcheck(attend, [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes])


def test_autocast_unifies_mixed_precision():
    torch.manual_seed(0)
    query, bias = torch.randn(1, 2, 4, 8, requires_grad=True), torch.randn(1, 1, 4, 4, requires_grad=True)
    key = torch.randn(1, 2, 4, 8, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = attend(query, key, key, bias)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert (query.grad.dtype, key.grad.dtype, bias.grad.dtype) == (torch.float32, torch.bfloat16, torch.float32)
