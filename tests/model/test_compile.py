"""Compiled parts: same outputs, same parameter names, and a log of the shapes that trigger compilation."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.gpu_setup import DETECTOR, INTERACTIVE, TRACKER
from sam3model.backbone import VisionBackbone
from sam3model.build import Sam3Model, build, no_memory
from sam3model.compile import compile_model, compile_wrapper, shape_logging_wrapper, usable_mode
from sam3model.config import Sam3Config, VideoConfig
from sam3model.detector.decoder import Decoder
from sam3model.detector.model import Sam3ImageModel, join_tokens
from sam3model.errors import ConfigError, InputError
from sam3model.image import Sam3ImagePredictor
from sam3model.tracker.memory_attention import MemoryAttention
from sam3model.tracker.memory_encoder import MemoryEncoder
from sam3model.video_predictor import FrameResult, Sam3VideoPredictor
from tests.model.small_video import clip, random_model
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


def test_parts_whose_input_grows_with_a_clip_record_no_cuda_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = {}
    monkeypatch.setattr(
        torch, "compile", lambda function, *, mode, **_: modes.setdefault(type(function.__self__), mode) and function
    )
    with no_memory():
        model = build(Sam3Config(DETECTOR, INTERACTIVE, TRACKER, VideoConfig()), parts=None)
    compile_model(model, mode="max-autotune")
    assert modes[VisionBackbone] == modes[Decoder] == "max-autotune"
    assert modes[MemoryAttention] == modes[MemoryEncoder] == "max-autotune-no-cudagraphs"


@pytest.mark.slow
def test_a_compiled_session_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, *, mode, **options: compiler(function, backend="eager", **options)
    )
    monkeypatch.setattr("torch._dynamo.config.fail_on_recompile_limit_hit", True)

    def found(model: Sam3Model) -> list[FrameResult]:
        with Sam3VideoPredictor(model).open(clip(4), hotstart_delay=0) as session:
            session.add_phrases(["ball", "a red cat"])
            return list(session.propagate())

    expected, twin = found(random_model()), build(random_model().config, parts=None).eval()
    twin.load_state_dict(random_model().state_dict())
    actual = found(compile_model(twin, mode="reduce-overhead"))
    assert sum(len(result) for result in expected) > 4
    for one, other in zip(actual, expected, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        torch.testing.assert_close(torch.as_tensor(one.boxes), torch.as_tensor(other.boxes), atol=1e-2, rtol=0)


def test_outputs_of_a_cuda_graph_are_copied_in_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = torch.zeros(2)
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)

    def recorded(x: Tensor) -> Pair:
        buffer.copy_(x)
        return Pair(buffer, (buffer,))

    for mode, kept in (("reduce-overhead", True), ("max-autotune", True), ("default", False)):
        run = compile_wrapper(recorded, mode=mode)
        with torch.inference_mode(False), torch.no_grad():
            first, _ = run(torch.ones(2)), run(torch.full((2,), 5.0))
        assert torch.equal(first.left, torch.ones(2)) is kept and torch.equal(first.right[0], torch.ones(2)) is kept


def test_compiling_is_for_cuda_and_said_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    assert usable_mode("default", torch.device("cuda")) == "default"
    assert not caplog.records
    assert usable_mode("reduce-overhead", torch.device("cpu")) is None
    (record,) = caplog.records
    assert "gains nothing on this device (cpu)" in record.getMessage()
    with pytest.raises(InputError, match="unknown compile_mode 'fast': use one of default, reduce-overhead"):
        usable_mode("fast", torch.device("cuda"))  # type: ignore[arg-type]
    predictor = Sam3ImagePredictor.from_weights("tiny", device="cpu", compile_mode="default", interactive=False)
    assert type(predictor.model.vision).forward is predictor.model.vision.forward.__func__, "not compiled"


def test_every_compiled_part_is_one_graph() -> None:
    """A break in a block of the trunk would cut it into as many graphs as it has blocks."""
    model, index = random_model().detector, torch.zeros(2, dtype=torch.long)
    with torch.inference_mode():
        features = whole(model.vision)(torch.randn(1, 3, 112, 112), keep_trunk=True)
        features = model.prepare_masks(features)
        text = whole(model.text)(torch.full((2, 16), 7))
        prompt = join_tokens(text, model.encode_geometry(None, features, index))
        memory = whole(model.fusion)(features, prompt, index)
        whole(model.decoder)(memory, features.positions[-1], prompt)
        coarse = memory[:1].transpose(1, 2).unflatten(-1, features.levels[-1].shape[-2:])
        whole(model.segmentation.pixel_decoder)(coarse, features.laterals)


def whole(part: nn.Module) -> Callable[..., Any]:
    """Traced by torch.compile, which fails at a graph break."""
    return torch.compile(part.forward, backend="eager", fullgraph=True)


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
