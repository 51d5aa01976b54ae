"""Load and save weights: layouts, round trips, and strictness."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sam3model import checkpoint
from sam3model.build import build, config_to_dict
from sam3model.checkpoint.header import header
from sam3model.checkpoint.layouts import Layout, entries_of, is_recomputed, recognise
from sam3model.checkpoint.name_tables import EXTRA_PREFIX, transformers_entries, version_0_entries
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.config import PRESETS, NeckConfig, Sam3Config
from sam3model.errors import CheckpointError
from tests.model.weight_rule import GOLDENS, small_config

MANIFEST = GOLDENS / "official_manifest_detector.json"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build(Sam3Config(small_config())).eval()


def same(a, b) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


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


def test_mixed_precision_becomes_the_widest_type(model, tmp_path):
    state = {name: t.half() if "norm" not in name else t.bfloat16() for name, t in model.state_dict().items()}
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    loaded = checkpoint.load(tmp_path / "m.safetensors")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    name = "detector.text.resizer.weight"
    assert torch.equal(loaded.state_dict()[name], state[name].float())


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


def test_neck_heads_left_out_by_the_config_are_unused(model, tmp_path):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path)
    lean = Sam3Config(replace(model.config.detector, neck=NeckConfig(interactive=None)))
    _, report = checkpoint.load_with_report(path, config=lean)
    assert report.unused == len(model.detector.vision.neck.interactive.state_dict())
