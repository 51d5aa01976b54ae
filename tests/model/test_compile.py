"""Compiled parts: same outputs, same parameter names, and a log of the shapes that trigger compilation."""

import logging
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from sam3model.compile import compile_model, compile_wrapper, shape_logging_wrapper
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError
from tests.model.weight_rule import small_config


@dataclass(frozen=True)
class Pair:
    left: Tensor
    right: tuple[Tensor, ...]


def test_only_new_shapes_and_types_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    double = shape_logging_wrapper(lambda x, **_: 2 * x, name="double")
    short, long = torch.ones(2, 3), torch.ones(4, 3)
    with caplog.at_level(logging.INFO, logger="sam3model.compile"):
        for x in (short, short + 1, long, short, short.long()):
            assert torch.equal(double(x), 2 * x)
        double(short, extra={"pair": Pair(long, (short,))}, word="ignored")
    assert [record.getMessage() for record in caplog.records] == [
        "double: input shapes number 1: (2, 3) float32",
        "double: input shapes number 2: (4, 3) float32",
        "double: input shapes number 3: (2, 3) int64",
        "double: input shapes number 4: (2, 3) float32, (4, 3) float32, (2, 3) float32",
    ]
    assert len(double.seen_shapes) == 4  # pyright: ignore[reportFunctionMemberAccess]


def test_a_compiled_function_gives_the_same_and_records_its_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    compiler = torch.compile

    def without_code_generation(function, *, mode, **options):
        asked.append(mode)
        return compiler(function, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", without_code_generation)
    layer = nn.Linear(3, 2)
    compiled = compile_wrapper(layer.forward, mode="max-autotune", fullgraph=True, dynamic=False)
    for rows in (1, 5, 5):
        x = torch.randn(rows, 3)
        torch.testing.assert_close(compiled(x), layer(x))
    assert asked == ["max-autotune"]
    assert list(compiled.seen_shapes) == [("(1, 3) float32",), ("(5, 3) float32",)]  # pyright: ignore[reportFunctionMemberAccess]


def test_compiling_a_model_covers_its_parts_and_keeps_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: compiled.append(function.__self__) or function)
    with torch.device("meta"):
        model = Sam3ImageModel(small_config())
    names = list(model.state_dict())
    assert compile_model(model) is model and list(model.state_dict()) == names
    assert compiled == [model.get_submodule(part) for part in Sam3ImageModel.blocks.compiled]
    assert all(type(module).forward is not nn.Module.forward for module in compiled), "each has a forward to compile"
    with pytest.raises(ConfigError, match="no part called 'heart'"):
        compile_model(model, parts=["heart"])


@pytest.mark.slow
def test_a_compiled_model_gives_the_same() -> None:
    from tests.model.detector_goldens import small_model
    from tests.model.weight_rule import fill, golden

    model = compile_model(fill(Sam3ImageModel(small_config())))
    inputs = golden()["image.pixels"], golden()["text.ids"][:2], None, torch.tensor([0, 1])
    with torch.no_grad():
        actual, expected = model(*inputs), small_model()(*inputs)
    torch.testing.assert_close(actual.main.logits, expected.main.logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(actual.main.boxes, expected.main.boxes, atol=1e-4, rtol=0)
    torch.testing.assert_close(actual.main.masks, expected.main.masks, atol=3e-4, rtol=0)
