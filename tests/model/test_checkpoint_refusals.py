"""Weights and configurations that are refused, in one line that says what is wrong."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sam3model import checkpoint
from sam3model.build import build, config_from_dict, config_to_dict
from sam3model.checkpoint.header import header
from sam3model.checkpoint.tensor_files import open_tensors
from sam3model.config import PRESETS, Sam3Config
from sam3model.errors import CheckpointError, ConfigError, OutputError
from tests.model.weight_rule import small_config


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(Sam3Config(small_config())).eval()


def test_a_folder_of_several_models_is_refused(tmp_path):
    parts = {"model-00001-of-00002": {"a": torch.zeros(1)}, "model-00002-of-00002": {"b": torch.ones(1)}}
    for name, tensors in parts.items():
        save_file(tensors, tmp_path / f"{name}.safetensors")
    assert set(open_tensors(tmp_path)) == {"a", "b"}
    for name in ("best", "final"):  # of a training run
        (tmp_path / "run").mkdir(exist_ok=True)
        save_file({"a": torch.zeros(1)}, tmp_path / "run" / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=r"holds several models, .* \(best.safetensors, final.safetensors\)"):
        open_tensors(tmp_path / "run")


def test_the_state_of_a_run_is_named_as_such(tmp_path):
    state = {"progress": {}, "model": {"a": torch.zeros(1)}, "optimizer": {}, "ema": {}, "config": "{}"}
    torch.save(state, tmp_path / "step_00000001.pt")
    with pytest.raises(CheckpointError, match=r"is the state of a training run: give best.safetensors"):
        open_tensors(tmp_path / "step_00000001.pt")


def with_header(model, path, **changes):
    checkpoint.save_native(model, path)
    save_file(load_file(path), path, header(model.config) | changes)
    return path


@pytest.mark.parametrize("version", ["2", "1.5", "new"])
def test_a_newer_format_is_refused_by_name(model, tmp_path, version):
    path = with_header(model, tmp_path / "m.safetensors", format_version=version)
    with pytest.raises(CheckpointError, match=f"format version {version}, and this code reads up to 1: update"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "parts must include 'detector'"),
        (["detector", "speech"], "unknown part 'speech': choose from detector, interactive, tracker, video"),
        (["detector", "tracker"], "part 'tracker' needs 'interactive': add it"),
        (["detector", "interactive", "video"], "part 'video' needs 'tracker': add it"),
    ],
)
def test_parts_without_those_that_they_need_are_refused(model, tmp_path, parts, says):
    checkpoint.save_native(model, tmp_path / "m.safetensors")
    for make in (lambda: build("sam3", parts), lambda: checkpoint.load(tmp_path / "m.safetensors", parts=parts)):
        with pytest.raises(ConfigError, match=says):
            make()


def test_the_same_tensor_with_and_without_a_wrapper_is_refused(tmp_path):
    save_file({"a": torch.zeros(1), "_orig_mod.a": torch.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="with and without '_orig_mod"):
        open_tensors(tmp_path / "m.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_that_is_not_finite_is_named(model, tmp_path, value, dtype):
    state = {name: tensor.to(dtype, copy=True) for name, tensor in model.state_dict().items()}
    state["detector.fusion.layers.1.linear1.weight"][3, 5] = value
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    with pytest.raises(CheckpointError, match=r"detector\.fusion\.layers\.1\.linear1\.weight contains NaN or infinity"):
        checkpoint.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("missing", "missing detector.text.resizer.weight"),
        ("unexpected", "unexpected surprise"),
        ("misshapen", r"detector\.text\.resizer\.weight has shape \(1, 1\), expected \(64, 64\)"),
    ],
)
def test_errors_name_the_tensor(model, tmp_path, damage, says):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path)
    state = load_file(path)
    if damage == "missing":
        del state["detector.text.resizer.weight"]
    elif damage == "unexpected":
        state["surprise"] = torch.zeros(1)
    else:
        state["detector.text.resizer.weight"] = torch.zeros(1, 1)
    save_file(state, path, header(model.config))
    with pytest.raises(CheckpointError, match=says):
        checkpoint.load(path)


class Evil:
    def __reduce__(self):
        return (os.system, ("echo owned > owned.txt",))


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: d / "absent.pt", "no weights at"),
        (lambda d: "some--body/sam3", "no weights at"),  # not a valid repository name
        (lambda d: write_bytes(d / "a.safetensors", b"junk"), "not a readable safetensors"),
        (lambda d: write_bytes(d / "a.pt", b"junk"), "damaged|more than tensors"),
        (lambda d: write_bytes(d / "a.jpg", b"junk"), "unknown suffix"),
        (lambda d: d, "contains no .safetensors"),
        (lambda d: (torch.save({"a": Evil()}, d / "e.pt"), d / "e.pt")[1], "could run code"),
        (lambda d: (torch.save({"x": 1}, d / "n.pt"), d / "n.pt")[1], "no state dict"),
        (
            lambda d: (save_file({"x": torch.zeros(1)}, d / "n.safetensors"), d / "n.safetensors")[1],
            "not a SAM 3 image model",
        ),
    ],
)
def test_invalid_files_are_one_line_errors(tmp_path, monkeypatch, make, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=says) as caught:
        checkpoint.load(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned.txt").exists()


def test_legacy_pickles_are_read_but_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, tensors = tmp_path / "old.pt", {"x": torch.arange(5.0), "y": torch.ones(3, 2, dtype=torch.float16)}
    torch.save({"model": tensors}, path, _use_new_zipfile_serialization=False)
    assert path.read_bytes()[:2] != b"PK"
    torch.testing.assert_close(dict(open_tensors(path)), tensors)
    whole = path.read_bytes()
    for size in (1, 30, 100, len(whole) - 4):
        with pytest.raises(CheckpointError, match="damaged"):
            open_tensors(write_bytes(tmp_path / "cut.pt", whole[:size]))
    torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="could run code"):
        open_tensors(path)
    assert not (tmp_path / "owned.txt").exists()


def test_a_failed_save_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(
        "sam3model.checkpoint.tensor_files.save_file", lambda *a: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OutputError, match="disk full"):
        checkpoint.save_native(model, path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def detector_from(values):
    return config_from_dict({"detector": values})


def test_config_round_trip_and_refusal():
    for preset in PRESETS.values():
        assert config_from_dict(json.loads(json.dumps(config_to_dict(preset())))) == preset()
    with pytest.raises(ConfigError, match=r"decoder\.querys'; did you mean 'queries'"):
        detector_from({"decoder": {"querys": 3}})
    with pytest.raises(ConfigError, match=r"heads: .* valid integer, got 'many'"):
        detector_from({"heads": "many"})
    for value in ("8", 8.0, True, None):
        with pytest.raises(ConfigError, match=r"heads: .* valid integer"):
            detector_from({"heads": value})
    with pytest.raises(ConfigError, match="must be a mapping"):
        config_from_dict([])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"vit\.global_blocks: .* valid array, got 3"):
        detector_from({"vit": {"global_blocks": 3}})
    with pytest.raises(ConfigError, match=r"ViTConfig\.patch_size must be positive"):
        detector_from({"vit": {"patch_size": 0}})
    with pytest.raises(ConfigError, match="d_model 30 must be a multiple of heads 8"):
        detector_from({"d_model": 30})
    with pytest.raises(ConfigError, match=r"FusionConfig\.layers must be positive"):
        detector_from({"fusion": {"layers": 0}, "geometry": {"layers": 0}})
    with pytest.raises(ConfigError, match=r"neck\.interactive\.dropped_levels is 4, with 4 scale factors"):
        detector_from({"neck": {"interactive": {"dropped_levels": 4}}})
    with pytest.raises(ConfigError, match="groups 7 do not divide"):
        detector_from({"segmentation": {"groups": 7}})
    with pytest.raises(ConfigError, match="the detection head of the neck has 3 levels"):
        detector_from({"segmentation": {"stages": 1}})
