"""Interactive heads, tracker and video rules as parts of a model: built, loaded and saved only when asked for."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sam3model import checkpoint
from sam3model.build import build, config_from_dict, config_to_dict
from sam3model.checkpoint.header import header
from sam3model.checkpoint.layouts import Layout, entries_of, is_recomputed, recognise
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.config import PARTS, PRESETS, InteractiveConfig, NeckConfig, Sam3Config, TrackerConfig, VideoConfig
from sam3model.errors import CheckpointError, ConfigError
from tests.model.video_goldens import INTERACTIVE, TRACKER, detector_config, official
from tests.model.weight_rule import GOLDENS, small_config

PAIR = PARTS[:2]


def random_model(config):
    """A model in which no two tensors of a shape are equal."""
    torch.manual_seed(0)
    model = build(config, parts=None).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return random_model(Sam3Config(detector_config(), INTERACTIVE, TRACKER, VideoConfig(hole_area=2)))


def same(a, b) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def released() -> dict[str, tuple[str, list[int]]]:
    names = ("detector", "tracker")
    files = [json.loads((GOLDENS / f"official_manifest_{name}.json").read_text()) for name in names]
    return files[0] | files[1]


def test_every_released_key_is_consumed_with_its_shape(tmp_path):
    manifest = released()
    assert len(manifest) == 1465
    file = TensorFile(tmp_path, {name: lambda: torch.zeros(1) for name in manifest}, {})
    recognised = recognise(file, parts=None)
    assert recognised.config == PRESETS["sam3"]() and recognised.layout is Layout.OFFICIAL
    with torch.device("meta"):
        state = build(recognised.config, parts=None).state_dict()
    entries = entries_of(recognised.layout, recognised.prefix, state)
    ours = {entry.foreign[0]: list(state[entry.native].shape) for entry in entries}
    assert ours == {name: shape for name, (_, shape) in manifest.items() if not is_recomputed(name)}
    assert not any(map(recognised.is_unused, manifest))


def test_official_names_are_those_of_the_reference_numbers(model):
    entries = entries_of(Layout.OFFICIAL, "detector.", model.state_dict())
    assert {entry.native: entry.foreign for entry in entries} == {
        name: (official(name),) for name in model.state_dict()
    }


@pytest.mark.parametrize("save", [checkpoint.save_native, checkpoint.save_official])
def test_all_parts_come_back_exactly(model, tmp_path, save):
    path = tmp_path / ("m.safetensors" if save is checkpoint.save_native else "sam3.pt")
    save(model, path)
    loaded, report = checkpoint.load_with_report(path, parts=None)
    assert same(model, loaded) and loaded.config == model.config == checkpoint.read_config(path)
    assert report.parts == PARTS and report.unused == 0
    checkpoint.save_native(model, tmp_path / "before.safetensors")
    checkpoint.save_native(loaded, tmp_path / "after.safetensors")
    assert (tmp_path / "before.safetensors").read_bytes() == (tmp_path / "after.safetensors").read_bytes()


@pytest.mark.parametrize("layout", ["native", "official", "bare official"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_only_the_parts_asked_for_are_built(model, tmp_path, layout, count):
    path, config = tmp_path / "m.pt", None
    if layout == "native":
        checkpoint.save_native(model, path := tmp_path / "m.safetensors")
    else:
        checkpoint.save_official(model, path)
    if layout == "bare official":
        config = model.config
        torch.save(torch.load(path, weights_only=True)["model"], path)
    loaded, report = checkpoint.load_with_report(path, parts=PARTS[:count], config=config)
    assert loaded.config == model.config.only(PARTS[:count]) and report.parts == PARTS[:count]
    assert (loaded.interactive is None, loaded.tracker is None, loaded.video is None) == (
        count < 2, count < 3, count < 4,
    )  # fmt: skip
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert report.unused == len(model.state_dict()) - len(loaded.state_dict())


def test_images_alone_are_the_default(model, tmp_path):
    checkpoint.save_native(model, tmp_path / "m.safetensors")
    assert checkpoint.load(tmp_path / "m.safetensors").config.parts == ("detector",)
    assert build(model.config).config.parts == ("detector",)
    with torch.device("meta"):
        assert build("sam3", parts=PARTS).config.parts == PARTS


VIDEO = "lean.safetensors has no tracker, which video needs: use weights that have one, such as the official sam3.pt"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (PARTS, VIDEO),
        (PARTS[:3], "lean.safetensors has no tracker: use weights that have one"),
        (PAIR, "lean.safetensors has no interactive heads: use weights that have them, such as the official sam3.pt"),
    ],
)
def test_a_missing_part_is_one_line(parts, says, tmp_path):
    detector = Sam3Config(detector_config())
    checkpoint.save_native(build(detector), tmp_path / "lean.safetensors")
    with pytest.raises(CheckpointError, match=says) as caught:
        checkpoint.load(tmp_path / "lean.safetensors", parts=parts)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"the configuration has no (tracker|interactive heads)"):
        build(detector, parts)


@pytest.mark.parametrize("tracker", ["detector only", "no interactive neck"])
def test_an_official_file_without_tracker(model, tmp_path, tracker):
    lean = replace(detector_config(), neck=NeckConfig(interactive=None))
    part = build(Sam3Config(lean if tracker == "no interactive neck" else detector_config()))
    checkpoint.save_official(part, tmp_path / "sam3.pt")
    assert checkpoint.load(tmp_path / "sam3.pt", parts=None).config.parts == ("detector",)
    with pytest.raises(CheckpointError, match=r"sam3\.pt has no tracker, which video needs"):
        checkpoint.load(tmp_path / "sam3.pt", parts=PARTS)


def test_the_tracker_of_sam_3_1_is_refused_by_name(tmp_path):
    three_heads = build(Sam3Config(replace(small_config(), neck=PRESETS["sam3_1"]().detector.neck)))
    checkpoint.save_official(three_heads, tmp_path / "sam3.1.pt")
    content = torch.load(tmp_path / "sam3.1.pt", weights_only=True)
    content["model"]["tracker.model.maskmem_tpos_enc"] = torch.zeros(1)
    torch.save(content, tmp_path / "sam3.1.pt")
    loaded, report = checkpoint.load_with_report(tmp_path / "sam3.1.pt", parts=None)
    assert loaded.config == three_heads.config and report.unused == 1
    for parts in (PAIR, PARTS):
        with pytest.raises(CheckpointError, match=r"sam3\.1\.pt has the tracker of SAM 3\.1, which is not supported"):
            checkpoint.load(tmp_path / "sam3.1.pt", parts=parts)


def test_video_rules_that_a_file_does_not_state_are_the_defaults(model, tmp_path):
    rest = build(model.config, PARTS[:3])
    checkpoint.save_native(rest, tmp_path / "m.safetensors")
    assert checkpoint.load(tmp_path / "m.safetensors", parts=None).video is None
    assert checkpoint.load(tmp_path / "m.safetensors", parts=PARTS).video == VideoConfig()


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("tracker.no_obj_ptr", "missing", "missing tracker.no_obj_ptr"),
        ("tracker.surprise", "unexpected", "unexpected tracker.surprise"),
        ("tracker.memory_encoder.out_proj.weight", "misshapen", r"memory_encoder\.out_proj\.weight has shape \(1,\)"),
        ("interactive.no_mem_embed", "nan", r"interactive\.no_mem_embed contains NaN"),
    ],
)
def test_tensors_of_all_parts_are_checked(model, tmp_path, name, damage, says):
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    if damage == "missing":
        del state[name]
    else:
        state[name] = torch.full_like(state[name], torch.nan) if damage == "nan" else torch.zeros(1)
    save_file(state, tmp_path / "m.safetensors", header(model.config))
    with pytest.raises(CheckpointError, match=says):
        checkpoint.load(tmp_path / "m.safetensors", parts=None)
    assert checkpoint.load(tmp_path / "m.safetensors").config == model.config.only(["detector"])


def test_an_unexpected_tensor_is_found_when_only_the_clicks_are_loaded(model, tmp_path):
    checkpoint.save_official(model, tmp_path / "sam3.pt")
    content = torch.load(tmp_path / "sam3.pt", weights_only=True)
    content["model"]["tracker.sam_mask_decoder.surprise"] = torch.zeros(1)
    torch.save(content, tmp_path / "sam3.pt")
    with pytest.raises(CheckpointError, match=r"unexpected tracker\.sam_mask_decoder\.surprise"):
        checkpoint.load(tmp_path / "sam3.pt", parts=PAIR)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_matrix_of_position_codes_keeps_its_precision(model, tmp_path, dtype):
    path = tmp_path / "m.safetensors"
    checkpoint.save_native(model, path)
    name = "interactive.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    loaded = checkpoint.load(path, dtype=dtype, parts=None)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert torch.equal(loaded.state_dict()[name], model.state_dict()[name])
    checkpoint.save_native(model, path, dtype=dtype)
    again = checkpoint.load(path, parts=None)
    assert same(loaded, again) and load_file(path)[name].dtype is torch.float32


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: Sam3Config(d, None, TrackerConfig()), "part 'tracker' needs 'interactive'"),
        (lambda d: Sam3Config(d, video=VideoConfig()), "part 'video' needs 'tracker'"),
        (lambda d: Sam3Config(replace(d, neck=NeckConfig(interactive=None)), INTERACTIVE), "set detector.neck"),
        (lambda d: Sam3Config(d, InteractiveConfig(heads=5)), "interactive.heads 5 do not divide"),
        (lambda d: Sam3Config(d, INTERACTIVE, TrackerConfig(memory_dim=24)), "tracker.memory_dim 24 must divide"),
        (lambda d: Sam3Config(d, INTERACTIVE, TrackerConfig(memory_dim=16, heads=3)), "3 tracker.heads"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make(detector_config())


def test_configuration_of_all_parts_survives_json(model):
    assert config_from_dict(json.loads(json.dumps(config_to_dict(model.config)))) == model.config
    with pytest.raises(ConfigError, match="part 'video' needs 'tracker'"):
        config_from_dict({"video": {}})
