"""Loading never holds two copies: weights stay memory-mapped, or are cast one tensor at a time (Linux)."""

import gc
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sam3model import quantise
from sam3model.build import no_memory
from sam3model.checkpoint import load, save_native, save_official
from sam3model.config import DetectorConfig, Sam3Config, TextConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.ops.int8_product import Int8Rows
from tests.model.weight_rule import small_config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")


@pytest.fixture(scope="module")
def config() -> DetectorConfig:
    """The reduced model with a wide vocabulary table: about 50 MB, most of it in one tensor."""
    return replace(small_config(), text=TextConfig(width=256, heads=4, layers=1))


@pytest.fixture(scope="module", params=["native.safetensors", "official.pt"])
def weights(request: pytest.FixtureRequest, config: DetectorConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / request.param
    model = zeros(config)
    save_native(model, path) if path.suffix == ".safetensors" else save_official(model, path)
    return path


def zeros(config: DetectorConfig) -> Sam3ImageModel:
    """A model of zeros."""
    with no_memory():
        model = Sam3ImageModel(config)
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model


def mapped(path: Path) -> list[tuple[int, int]]:
    """Address ranges of this process that map the file."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
    return [(int(start, 16), int(end, 16)) for start, end in (line[0].split("-") for line in lines)]


def anonymous_bytes() -> int:
    """Memory of this process that is not file-backed."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def test_float32_weights_stay_memory_mapped(weights: Path, config: DetectorConfig) -> None:
    model = load(weights, config=Sam3Config(config))
    ranges = mapped(weights)
    outside = [
        name
        for name, tensor in model.state_dict().items()
        if not any(start <= tensor.data_ptr() < end for start, end in ranges)
    ]
    assert ranges and not outside


def test_a_cast_allocates_the_result_alone(weights: Path, config: DetectorConfig) -> None:
    load(weights, config=Sam3Config(config), dtype=torch.bfloat16)  # one-time allocations, before the measurement
    gc.collect()
    before, size = anonymous_bytes(), weights.stat().st_size
    model = load(weights, config=Sam3Config(config), dtype=torch.bfloat16)
    grown = anonymous_bytes() - before
    assert {tensor.dtype for tensor in model.parameters()} == {torch.bfloat16}
    assert grown < 0.6 * size, f"{grown / 1e6:.0f} MB for a file of {size / 1e6:.0f} MB"


def test_int8_never_holds_all_weights_in_another_precision(tmp_path: Path, monkeypatch) -> None:
    """Layers that would take 70 MB in bfloat16 take 35 MB, and not much more while they are loaded."""
    config = small_config()
    vit = replace(config.vit, width=512, depth=10, heads=8, global_blocks=(9,))
    save_native(zeros(replace(config, vit=vit)), tmp_path / "wide.safetensors")
    held, to_int8 = list[int](), quantise.to_int8

    def watched(weight: torch.Tensor) -> Int8Rows:
        held.append(anonymous_bytes())
        return to_int8(weight)

    monkeypatch.setattr(quantise, "to_int8", watched)
    before = anonymous_bytes()
    model, _ = quantise.load_in_precision(tmp_path / "wide.safetensors", device=torch.device("cpu"), dtype="int8")
    small = sum(buffer.nbytes for buffer in model.detector.vision.trunk.blocks.buffers())
    assert len(held) > 40 and 34e6 < small < 36e6
    assert max(held) - before < 1.4 * small
