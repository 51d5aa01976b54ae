"""int8 weights: what is rounded, how close the results stay, the memory saved, and where it is refused."""

import copy
import logging

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from sam3agent.config import load_settings
from sam3model.detector.model import Sam3ImageModel
from sam3model.devices import resolve_dtype
from sam3model.errors import InputError
from sam3model.image import Sam3ImagePredictor
from sam3model.layers import int8_layers
from sam3model.layers.attention import MultiheadAttention
from sam3model.layers.int8_layers import Int8Attention, Int8Linear
from sam3model.layers.linear import Linear
from sam3model.ops import int8_product as product_module
from sam3model.ops.int8_product import int8_product, to_int8
from sam3model.quantise import load_in_precision, quantise
from sam3model.resources import asset

CPU = torch.device("cpu")


def error(actual: torch.Tensor, exact: torch.Tensor) -> float:
    return ((actual.double() - exact.double()).square().mean().sqrt() / exact.double().std()).item()


def test_rows_are_rounded_to_half_a_step_and_zeros_stay() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 40) * torch.tensor([1e-6, 1.0, 1e4, 0.0, 3.0])[:, None]
    rows = to_int8(x)
    assert rows.values.dtype == torch.int8 and rows.values[[0, 1, 2, 4]].abs().amax(1).eq(127).all()
    back = rows.values * rows.scale[:, None]
    assert ((back - x).abs() <= 0.5001 * rows.scale[:, None]).all() and not back[3].any()


@pytest.mark.parametrize("in_hardware", [False, True])
@pytest.mark.parametrize("size", [(1, 64, 64), (7, 96, 130), (33, 4736, 64), (130, 32, 48)])
def test_both_products_are_exact(monkeypatch, in_hardware, size) -> None:
    monkeypatch.setattr(product_module, "has_int8_product", lambda: in_hardware)
    torch.manual_seed(0)
    tokens, weights = to_int8(torch.randn(size[0], size[1])), to_int8(torch.randn(size[2], size[1]))
    exact = tokens.values.double() @ weights.values.double().T * tokens.scale[:, None] * weights.scale
    product = torch.cat([rows for _, rows in int8_product(tokens, weights)])
    torch.testing.assert_close(product.double(), exact, rtol=1e-5, atol=1e-6)


def test_nothing_of_the_weights_stays_behind_the_int8_numbers() -> None:
    """The scales of trainable weights would hold the graph that made them, and in it float32 copies of the weights."""
    attention = Int8Attention(MultiheadAttention(64, 2))
    model = quantise(load_in_precision("tiny", device=CPU, dtype="float32")[0].detector)
    kept = [one for module in (Int8Linear(*Linear(64, 64).parameters()), attention, model) for one in module.buffers()]
    assert len(kept) > 50 and not [one for one in kept if one.requires_grad or one.grad_fn is not None]


@torch.inference_mode()
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_stays_close_in_blocks_of_tokens(monkeypatch, bias) -> None:
    monkeypatch.setattr(int8_layers, "TOKENS_AT_ONCE", 4)
    torch.manual_seed(0)
    layer, x = Linear(128, 96, bias=bias), torch.randn(3, 5, 128)
    small = Int8Linear(layer.weight, layer.bias)
    assert error(small(x), layer(x)) < 0.012
    assert error(small.gelu(x), F.gelu(layer(x))) < 0.02
    assert small(x.bfloat16()).dtype == torch.bfloat16 and small(x).shape == (3, 5, 96)
    assert small(x[:, :0]).shape == (3, 0, 96)


@torch.inference_mode()
def test_attention_stays_close_for_every_kind_of_input() -> None:
    torch.manual_seed(0)
    attention = MultiheadAttention(64, 4)
    nn.init.normal_(attention.in_proj_bias)
    small = Int8Attention(attention)
    query, key, value = torch.randn(2, 6, 64), torch.randn(2, 9, 64), torch.randn(2, 9, 64)
    for inputs in ((query, query, query), (key, key, value), (query, key, key), (query, key, value)):
        assert error(small(*inputs), attention(*inputs)) < 0.03


@pytest.fixture(scope="module")
def pair() -> tuple[Sam3ImageModel, Sam3ImageModel]:
    """sam3-tiny in bfloat16, and with int8 layers."""
    model = load_in_precision("tiny", device=CPU, dtype="bfloat16")[0].detector
    return model, quantise(copy.deepcopy(model))


def size(model: nn.Module) -> int:
    return sum(x.nbytes for x in (*model.parameters(), *model.buffers()))


def test_every_wide_layer_of_the_four_parts_is_int8_and_half_as_large(pair) -> None:
    before, after = pair
    for part in ("vision.trunk.blocks", "text.encoder.transformer", "fusion", "decoder.layers"):
        whole, small = before.get_submodule(part), after.get_submodule(part)
        assert not [name for name, one in small.named_modules() if isinstance(one, nn.Linear)], part
        assert not [name for name, _ in small.named_parameters() if "in_proj" in name], part
        assert size(small) < 0.56 * size(whole), part
    assert {type(x) for x in after.segmentation.modules()} == {type(x) for x in before.segmentation.modules()}
    assert isinstance(after.decoder.bbox_embed.layers[0], nn.Linear), "boxes need more digits"


def test_rounding_while_loading_gives_the_layers_that_rounding_afterwards_gives(pair) -> None:
    model = load_in_precision("tiny", device=CPU, dtype="int8")[0]
    found, expected = model.detector.state_dict(), pair[1].state_dict()
    assert list(found) == list(expected)
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name
    assert not [name for name, module in model.named_modules() if module.training], "in evaluation mode"


def test_a_loaded_model_finds_the_same_instances() -> None:
    image = Image.open(asset("match.png"))
    exact = Sam3ImagePredictor.from_weights("tiny", device="cpu", dtype="float32")
    small = Sam3ImagePredictor.from_weights("tiny", device="cpu", dtype="int8")
    assert small.dtype == torch.bfloat16
    assert any(isinstance(x, Int8Linear) for x in small.model.modules())
    (a,), (b,) = (one.predict(one.encode(image), ["player in white"]) for one in (exact, small))
    assert len(a) == len(b) > 0
    for mask, other in zip(a.masks, b.masks, strict=True):
        assert (mask & other).sum() / (mask | other).sum() > 0.9


def test_it_is_refused_on_other_devices_in_one_line() -> None:
    assert resolve_dtype("int8", CPU) is torch.bfloat16
    for device in ("cuda", "mps"):
        with pytest.raises(InputError, match="int8 is for processors") as refusal:
            resolve_dtype("int8", torch.device(device))
        assert "\n" not in str(refusal.value)


def test_a_processor_without_int8_instructions_is_told_so(monkeypatch, caplog, pair) -> None:
    for has, lines in ((False, 1), (True, 0)):
        caplog.clear()
        monkeypatch.setattr("sam3model.quantise.has_int8_product", lambda has=has: has)
        with caplog.at_level(logging.WARNING):
            quantise(copy.deepcopy(pair[0]))
        assert len([one for one in caplog.records if "no int8 instructions" in one.message]) == lines


def test_it_is_a_setting_and_off_by_default() -> None:
    assert load_settings({}).dtype == "auto"
    assert resolve_dtype("auto", CPU) in (torch.float32, torch.bfloat16)
    assert load_settings({"dtype": "int8"}).dtype == "int8"
