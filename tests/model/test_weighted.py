"""Products with weights: emulated bfloat16 is computed in float32, in inference alone, and everything else as it is."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.convolution import Conv2d, UpConv2d
from sam3model.layers.linear import Linear
from sam3model.ops import weighted

TOKENS, MAP = (3, 5, 64), (2, 16, 6, 6)
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: Linear(64, 48), TOKENS),
    "linear without bias": (lambda: Linear(64, 48, bias=False), TOKENS),
    "convolution": (lambda: Conv2d(16, 8, 3, padding=1), MAP),
    "patches": (lambda: Conv2d(16, 8, 2, stride=2, bias=False), MAP),
    "depthwise": (lambda: Conv2d(16, 16, 3, padding=1, groups=16), MAP),
    "transposed": (lambda: UpConv2d(16, 8, 2), MAP),
}


@pytest.fixture(params=LAYERS)
def layer_and_input(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    make, shape = LAYERS[request.param]
    return make().bfloat16(), torch.randn(shape).bfloat16()


def emulated(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setattr(weighted, "has_native_bfloat16", lambda _: not yes)


@torch.inference_mode()
def test_emulated_bfloat16_is_float32_rounded_once(monkeypatch, layer_and_input) -> None:
    layer, x = layer_and_input
    emulated(monkeypatch, True)
    found = layer(x)
    exact = layer.float()(x.float())
    assert found.dtype == torch.bfloat16 and torch.equal(found, exact.bfloat16())


def test_processors_with_bfloat16_and_training_use_it(monkeypatch, layer_and_input) -> None:
    layer, x = layer_and_input
    plain = type(layer).__mro__[1]  # torch's own layer
    emulated(monkeypatch, True)
    assert torch.equal(layer(x), plain.forward(layer, x)), "gradients are needed"
    emulated(monkeypatch, False)
    with torch.inference_mode():
        assert torch.equal(layer(x), plain.forward(layer, x))


@torch.inference_mode()
def test_weights_of_another_type_are_still_a_mistake(monkeypatch) -> None:
    emulated(monkeypatch, True)
    with pytest.raises(RuntimeError):
        Linear(8, 8)(torch.zeros(2, 8).bfloat16())


@torch.inference_mode()
def test_no_product_of_attention_is_left_in_emulated_bfloat16(monkeypatch) -> None:
    emulated(monkeypatch, True)
    types = []
    monkeypatch.setattr(nn.functional, "linear", lambda x, weight, bias: types.append(x.dtype) or x @ weight.T + bias)
    x = torch.randn(2, 4, 32).bfloat16()
    MultiheadAttention(32, 2).bfloat16()(x, x, x)
    assert types == [torch.float32, torch.float32]
