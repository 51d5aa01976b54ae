"""The linear layer with two ways to multiply: which way is taken, and that both lead to the same place."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sam3model.layers import linear
from sam3model.layers.linear import LEAST_FEATURES, LEAST_TOKENS, Linear

needs_onednn = pytest.mark.skipif(not linear._HAS_ONEDNN, reason="this build of torch has no oneDNN product")


class Operators(TorchDispatchMode):
    """Names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def layer_and_tokens(tokens: int = LEAST_TOKENS, features: int = LEAST_FEATURES) -> tuple[Linear, Tensor]:
    torch.manual_seed(0)
    return Linear(features, LEAST_FEATURES), torch.randn(2, tokens // 2, features)


def through_onednn(layer: Linear, x: Tensor) -> bool:
    with Operators() as operators:
        layer(x)
    return "mkldnn::_linear_pointwise" in operators.names


@needs_onednn
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_both_ways_differ_by_rounding_only(dtype: torch.dtype, tolerance: float) -> None:
    layer, x = layer_and_tokens()
    layer, x = layer.to(dtype), x.to(dtype)
    exact = nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
    with torch.inference_mode():
        assert through_onednn(layer, x)
        assert layer(x).dtype == dtype
        torch.testing.assert_close(layer(x).double(), exact, atol=tolerance, rtol=tolerance)
        bent = nn.functional.gelu(exact)
        torch.testing.assert_close(layer.gelu(x).double(), bent, atol=tolerance, rtol=tolerance)
        turned = x.transpose(0, 1)
        torch.testing.assert_close(layer(turned).double(), exact.transpose(0, 1), atol=tolerance, rtol=tolerance)


@needs_onednn
def test_training_small_layers_few_tokens_and_autocast_keep_torchs_way() -> None:
    layer, x = layer_and_tokens()
    assert not through_onednn(layer, x), "gradients are wanted"
    with torch.inference_mode():
        assert not through_onednn(*layer_and_tokens(tokens=LEAST_TOKENS // 2))
        assert not through_onednn(*layer_and_tokens(features=LEAST_FEATURES // 2))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16 and not through_onednn(layer, x)


def test_it_is_a_linear_layer_to_everyone_else() -> None:
    layer, x = layer_and_tokens(tokens=8)
    twin = nn.Linear(LEAST_FEATURES, LEAST_FEATURES)
    twin.load_state_dict(layer.state_dict())
    assert isinstance(layer, nn.Linear) and torch.equal(layer(x), twin(x))
    assert torch.equal(layer.gelu(x), nn.functional.gelu(twin(x)))
    layer(x).sum().backward()
    assert layer.weight.grad is not None
