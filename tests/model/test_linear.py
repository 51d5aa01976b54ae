"""The linear layer with two implementations: which one runs, and that both give the same result."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sam3model.layers import linear
from sam3model.layers.linear import MIN_FEATURES, MIN_TOKENS, Linear

needs_onednn = pytest.mark.skipif(not linear._HAS_ONEDNN, reason="this build of torch has no oneDNN product")


class Operators(TorchDispatchMode):
    """Names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def layer_and_tokens(tokens: int = MIN_TOKENS, features: int = MIN_FEATURES) -> tuple[Linear, Tensor]:
    torch.manual_seed(0)
    return Linear(features, MIN_FEATURES), torch.randn(2, tokens // 2, features)


def through_onednn(layer: Linear, x: Tensor) -> bool:
    with Operators() as operators:
        layer(x)
    return "mkldnn::_linear_pointwise" in operators.names


@needs_onednn
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_both_implementations_differ_by_rounding_only(dtype: torch.dtype, tolerance: float) -> None:
    layer, x = layer_and_tokens()
    layer, x = layer.to(dtype), x.to(dtype)
    exact = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
    with torch.inference_mode():
        assert through_onednn(layer, x) is (dtype in linear._DTYPES), "oneDNN has no bfloat16 on some processors"
        assert layer(x).dtype == dtype
        torch.testing.assert_close(layer(x).double(), exact, atol=tolerance, rtol=tolerance)
        activated = nn.functional.gelu(exact)
        torch.testing.assert_close(layer.gelu(x).double(), activated, atol=tolerance, rtol=tolerance)
        transposed = x.transpose(0, 1)
        torch.testing.assert_close(layer(transposed).double(), exact.transpose(0, 1), atol=tolerance, rtol=tolerance)


@needs_onednn
def test_training_small_layers_few_tokens_and_autocast_use_torch() -> None:
    layer, x = layer_and_tokens()
    assert not through_onednn(layer, x), "gradients are needed"
    with torch.inference_mode():
        assert not through_onednn(*layer_and_tokens(tokens=MIN_TOKENS // 2))
        assert not through_onednn(*layer_and_tokens(features=MIN_FEATURES // 2))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16 and not through_onednn(layer, x)


def test_it_can_replace_a_linear_layer() -> None:
    layer, x = layer_and_tokens(tokens=8)
    twin = nn.Linear(MIN_FEATURES, MIN_FEATURES)
    twin.load_state_dict(layer.state_dict())
    assert isinstance(layer, nn.Linear) and torch.equal(layer(x), twin(x))
    assert torch.equal(layer.gelu(x), nn.functional.gelu(twin(x)))
    layer(x).sum().backward()
    assert layer.weight.grad is not None
