"""Load and save weights: layouts, round trips, and strictness."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sam3model import checkpoint
from sam3model.build import build, config_from_dict, config_to_dict
from sam3model.checkpoint.header import header
from sam3model.checkpoint.layouts import Layout, entries_of, is_recomputed, recognise
from sam3model.checkpoint.name_tables import EXTRA_PREFIX, transformers_entries, version_0_entries
from sam3model.checkpoint.tensor_files import TensorFile, open_tensors
from sam3model.config import PRESETS, NeckConfig, Sam3Config
from sam3model.errors import CheckpointError, ConfigError, OutputError
from tests.model.weight_rule import GOLDENS, small_config

MANIFEST = GOLDENS / "official_manifest_detector.json"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(Sam3Config(small_config())).eval()


def same(a, b) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


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


def test_every_released_detector_key_is_consumed_with_its_shape():
    manifest = json.loads(MANIFEST.read_text())
    with torch.device("meta"):
        state = build("sam3").state_dict()
    names = {entry.native: entry.foreign[0] for entry in entries_of(Layout.OFFICIAL, "detector.", state)}
    ours = {names[name]: list(tensor.shape) for name, tensor in state.items()}
    released = {name: shape for name, (_, shape) in manifest.items() if not is_recomputed(name)}
    assert ours == released


def test_the_released_detector_of_sam_3_1_is_consumed_too(tmp_path):
    """SAM 3.1 renames the second neck head, adds a third, and has no fourth level."""
    manifest = json.loads(MANIFEST.read_text())
    gone = ("detector.backbone.vision_backbone.convs.3.", "detector.backbone.vision_backbone.sam2_convs.")
    manifest = {name: entry for name, entry in manifest.items() if not name.startswith(gone)}
    manifest |= json.loads((GOLDENS / "official_manifest_neck_31.json").read_text())
    manifest["tracker.model.maskmem_tpos_enc"] = ["float32", [7, 1, 1, 256]]
    file = TensorFile(tmp_path, {name: lambda: torch.zeros(1) for name in manifest}, {})
    recognised = recognise(file)
    assert recognised.config == PRESETS["sam3_1"]() and recognised.layout is Layout.OFFICIAL
    with torch.device("meta"):
        state = build(recognised.config).state_dict()
    entries = entries_of(recognised.layout, recognised.prefix, state)
    ours = {entry.foreign[0]: list(state[entry.native].shape) for entry in entries}
    others = {name for name in manifest if is_recomputed(name) or name.startswith(recognised.unused)}
    assert ours == {name: shape for name, (_, shape) in manifest.items() if name not in others}


def test_a_file_of_sam_3_1_loads(tmp_path):
    config = Sam3Config(replace(small_config(), neck=PRESETS["sam3_1"]().detector.neck))
    three_heads = build(config)
    checkpoint.save_official(three_heads, tmp_path / "sam3.1.pt")
    saved = torch.load(tmp_path / "sam3.1.pt", weights_only=True)["model"]
    assert any(".interactive_convs.0." in name for name in saved) and not any("sam2_convs" in name for name in saved)
    torch.save(saved | {"tracker.model.maskmem_tpos_enc": torch.zeros(1)}, tmp_path / "sam3.1.pt")
    loaded, report = checkpoint.load_with_report(tmp_path / "sam3.1.pt", config=config)
    assert same(three_heads, loaded) and report.unused == 1


def test_the_shipped_weights_have_all_parts(tmp_path):
    assert checkpoint.read_config("tiny") == PRESETS["sam3_tiny"]()
    assert checkpoint.load("tiny").config.parts == ("detector",)
    tiny = checkpoint.load("tiny", parts=None)
    assert tiny.config == PRESETS["sam3_tiny"]()
    checkpoint.save_native(tiny, tmp_path / "new.safetensors")
    assert same(tiny, checkpoint.load(tmp_path / "new.safetensors", parts=None))


@pytest.mark.parametrize("interactive", [True, False])
def test_all_names_of_format_version_0(model, tmp_path, interactive):
    names = {entry.native: entry.foreign[0] for entry in version_0_entries(model.detector.state_dict())}
    state = {names[name]: tensor for name, tensor in model.detector.state_dict().items()}
    config = asdict(model.config.detector)
    config["neck"] = {"scale_factors": [4, 2, 1, 0.5], "dropped_levels": 1, "tracker_neck": interactive}
    save_file(state, tmp_path / "old.safetensors", {"config": json.dumps(config)})
    loaded, report = checkpoint.load_with_report(tmp_path / "old.safetensors")
    assert report.unused == (0 if interactive else 22)
    assert (loaded.config == model.config) is interactive and (same(model, loaded)) is interactive


def with_header(model, path, **changes):
    checkpoint.save_native(model, path)
    save_file(load_file(path), path, header(model.config) | changes)
    return path


@pytest.mark.parametrize("version", ["2", "1.5", "new"])
def test_a_newer_format_is_refused_by_name(model, tmp_path, version):
    path = with_header(model, tmp_path / "m.safetensors", format_version=version)
    with pytest.raises(CheckpointError, match=f"format version {version}, and this code reads up to 1: update"):
        checkpoint.load(path)


def test_an_unknown_part_is_refused_unless_left_out(model, tmp_path):
    path = tmp_path / "m.safetensors"
    config = json.dumps(config_to_dict(model.config) | {"speech": {"memory_frames": 7}})
    checkpoint.save_native(model, path)
    state = load_file(path) | {"speech.no_obj_ptr": torch.zeros(1)}
    save_file(state, path, header(model.config) | {"config": config})
    with pytest.raises(CheckpointError, match="unknown part 'speech'"):
        checkpoint.load(path, parts=None)
    loaded, report = checkpoint.load_with_report(path)
    assert same(model, loaded) and report.unused == 1
    save_file(state, path, header(model.config))
    with pytest.raises(CheckpointError, match=r"unexpected speech\.no_obj_ptr"):
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


@pytest.mark.parametrize("save", [checkpoint.save_native, checkpoint.save_official, checkpoint.save_transformers])
def test_the_same_model_gives_the_same_bytes(model, tmp_path, save):
    contents = set()
    for name in ("a", "b", "c", "d"):
        save(model, tmp_path / name / f"{name}.pt")
        files = sorted(file for file in (tmp_path / name).rglob("*") if file.is_file())
        contents.add(tuple(file.read_bytes() for file in files))
    assert len(contents) == 1 and all(*contents)


def test_any_text_in_the_header_survives(model, tmp_path):
    further = {f"{i}": text for i, text in enumerate(["é日\U0001f600", '"\\/\b\f\n\r\t\x00\x1f\x7f', "\u2028", ""])}
    for name in ("a", "b"):
        checkpoint.save_native(model, tmp_path / f"{name}.safetensors", metadata=further)
    loaded, report = checkpoint.load_with_report(tmp_path / "a.safetensors")
    assert same(model, loaded) and report.metadata.items() >= further.items()
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("wrap", ["_orig_mod.{}", "model.{}", "module._orig_mod.{}", "inner"])
def test_prefixes_of_wrappers_are_stripped(model, tmp_path, wrap):
    def wrapped(name):
        return name.replace("vision.", "vision._orig_mod.") if wrap == "inner" else wrap.format(name)

    state = {wrapped(name): tensor for name, tensor in model.state_dict().items()}
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    assert same(model, checkpoint.load(tmp_path / "m.safetensors"))
    torch.save({"state_dict": state}, tmp_path / "m.pt")
    assert same(model, checkpoint.load(tmp_path / "m.pt", config=model.config))


def test_the_same_tensor_with_and_without_a_wrapper_is_refused(tmp_path):
    save_file({"a": torch.zeros(1), "_orig_mod.a": torch.ones(1)}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="with and without '_orig_mod"):
        open_tensors(tmp_path / "m.safetensors")


def test_mixed_precision_becomes_the_widest_type(model, tmp_path):
    state = {name: t.half() if "norm" not in name else t.bfloat16() for name, t in model.state_dict().items()}
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    loaded = checkpoint.load(tmp_path / "m.safetensors")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    name = "detector.text.resizer.weight"
    assert torch.equal(loaded.state_dict()[name], state[name].float())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_that_is_not_finite_is_named(model, tmp_path, value, dtype):
    state = {name: tensor.to(dtype, copy=True) for name, tensor in model.state_dict().items()}
    state["detector.fusion.layers.1.linear1.weight"][3, 5] = value
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    with pytest.raises(CheckpointError, match=r"detector\.fusion\.layers\.1\.linear1\.weight contains NaN or infinity"):
        checkpoint.load(tmp_path / "m.safetensors")


def test_native_round_trip(model, tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path, metadata={"record": "{}"})
    loaded, report = checkpoint.load_with_report(path)
    assert same(model, loaded)
    assert report.layout is checkpoint.Layout.NATIVE and report.metadata["record"] == "{}"
    assert loaded.config == model.config


def test_official_round_trip_of_any_size(model, tmp_path):
    checkpoint.save_official(model, tmp_path / "sam3.pt")
    loaded, report = checkpoint.load_with_report(tmp_path / "sam3.pt")
    assert same(model, loaded) and loaded.config == model.config
    assert report.layout is checkpoint.Layout.OFFICIAL and report.recomputed == model.config.detector.vit.depth


@pytest.mark.parametrize("wrap", ["bare", "model", "no-prefix"])
def test_official_round_trip_however_it_is_wrapped(model, tmp_path, wrap):
    path = tmp_path / "sam3.pt"
    checkpoint.save_official(model, path)
    state = torch.load(path, weights_only=True)["model"]
    assert sum(name.endswith("freqs_cis") for name in state) == model.config.detector.vit.depth
    state["tracker.maskmem_tpos_enc"] = torch.zeros(1)
    if wrap == "no-prefix":
        state = {name.removeprefix("detector."): tensor for name, tensor in state.items()}
    torch.save({"model": state, "epoch": 3} if wrap == "model" else state, path)
    loaded, report = checkpoint.load_with_report(path, config=model.config)
    assert same(model, loaded)
    assert report.layout is checkpoint.Layout.OFFICIAL and report.unused == 1


def test_transformers_round_trip_loses_nothing(model, tmp_path):
    checkpoint.save_transformers(model, tmp_path)
    loaded, report = checkpoint.load_with_report(tmp_path)
    assert same(model, loaded)
    assert report.layout is checkpoint.Layout.TRANSFORMERS
    assert loaded.config == model.config


def test_transformers_round_trip_of_settings_that_only_our_header_has(tmp_path):
    small = small_config()
    config = Sam3Config(replace(small, geometry=replace(small.geometry, mask_encoder=True), nms=0.5))
    rich = build(config)
    checkpoint.save_transformers(rich, tmp_path)
    loaded, report = checkpoint.load_with_report(tmp_path)
    assert same(rich, loaded) and loaded.config == config and not report.absent
    with pytest.raises(CheckpointError, match="unexpected sam3model_extra"):
        checkpoint.load(tmp_path, config=Sam3Config(small))


def test_transformers_video_file_and_missing_point_projections(model, tmp_path):
    checkpoint.save_transformers(model, tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    state = {name: tensor for name, tensor in state.items() if not name.startswith(EXTRA_PREFIX)}
    video = {n if n.startswith("tracker_neck.") else f"detector_model.{n}": t for n, t in state.items()}
    video["tracker_model.mask_decoder.x"] = torch.zeros(2)
    save_file(video, tmp_path / "model.safetensors")
    loaded, report = checkpoint.load_with_report(tmp_path)
    assert report.unused == 1 and all(name.startswith("detector.geometry.points_") for name in report.absent)
    trunk = loaded.detector.state_dict()["vision.trunk.pos_embed"]
    assert torch.equal(trunk[:, 1:], model.detector.state_dict()["vision.trunk.pos_embed"][:, 1:])


def test_transformers_table_covers_all_but_the_points(model):
    extra = {
        e.native for e in transformers_entries(model.detector.state_dict()) if e.foreign[0].startswith(EXTRA_PREFIX)
    }
    assert extra and all(name.startswith("geometry.points_") for name in extra)


def test_dtype_is_cast(model, tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path, dtype=torch.float16)
    loaded = checkpoint.load(path, dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16}
    assert not loaded.training


def test_weights_are_found_beside_other_tensors_of_a_training_checkpoint(model, tmp_path):
    path = tmp_path / "sam3.pt"
    checkpoint.save_official(model, path)
    torch.save({"steps": torch.tensor(3), "model": torch.load(path, weights_only=True)}, path)
    assert same(model, checkpoint.load(path, config=model.config))


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


def test_neck_heads_left_out_by_the_config_are_unused(model, tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path)
    lean = Sam3Config(replace(model.config.detector, neck=NeckConfig(interactive=None)))
    _, report = checkpoint.load_with_report(path, config=lean)
    assert report.unused == len(model.detector.vision.neck.interactive.state_dict())


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
