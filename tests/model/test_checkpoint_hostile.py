"""Weights from outside that ask for the impossible: one line that names the file and the field, at once."""

import json
import os
import resource
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sam3model.checkpoint import load, read_config, save_transformers
from sam3model.checkpoint.hub import find_weights
from sam3model.config import sam3_tiny
from sam3model.errors import CheckpointError, ConfigError
from sam3model.resources import TINY_WEIGHTS, asset


@pytest.fixture(scope="module")
def tiny():
    """Tensors and header of the shipped weights."""
    path = asset(TINY_WEIGHTS)
    with safe_open(path, "pt") as file:
        return load_file(path), file.metadata()


def written(tmp_path, tiny, config, name="bad.safetensors"):
    state, metadata = tiny
    text = config if isinstance(config, str) else json.dumps(config)
    save_file({key: state[key] for key in list(state)}, tmp_path / name, {**metadata, "config": text})
    return tmp_path / name


def changed(tiny, path: str, value):
    content = json.loads(tiny[1]["config"])
    place = content
    *parents, last = path.split(".")
    for key in parents:
        place = place[key]
    place[last] = value
    return content


IMPOSSIBLE = [
    ("detector.dropout", -1), ("detector.d_model", 10**9), ("detector.d_model", -64), ("detector.d_model", None),
    ("detector.d_model", "64"), ("detector.d_model", 64.5), ("detector.vit.depth", 10**9), ("detector.heads", 0),
    ("detector.text.layers", 10**9), ("detector.fusion.layers", 10**6), ("detector.decoder.layers", 10**12),
    ("detector.geometry.layers", 10**9), ("detector.geometry.layers", -1), ("detector.decoder.queries", 10**9),
    ("detector.segmentation.stages", 10**9), ("detector.vit.image_size", 2**40), ("detector.vit.patch_size", 10**9),
    ("detector.text.vocabulary", 10**9), ("detector.text.context_length", 10**9), ("detector.vit.mlp_ratio", 1e300),
    ("detector.vit.drop_path", 7), ("detector.geometry.roi_size", 10**7), ("detector.neck.scale_factors", [3.7]),
    ("detector.neck.scale_factors", [4.0] * 10**4), ("detector.neck.detection.dropped_levels", -3),
    ("detector.vit.global_blocks", [-1]), ("detector.vit.rope_theta", float("nan")), ("detector", None),
    ("detector", []), ("detector", 5), ("detector.vit", "x"), ("interactive.depth", 10**9), ("tracker.layers", 10**9),
    ("interactive.mlp", -5), ("tracker.memory_frames", 10**9), ("tracker.dropout", 3.0),
    ("detector.neck.scale_factors", [-1, 1.0, 0.5, 0.5]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE)
def test_a_header_that_asks_for_the_impossible_is_refused_at_once(tmp_path, tiny, path, value):
    file = written(tmp_path, tiny, changed(tiny, path, value))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(CheckpointError) as found:
        load(file, parts=None)
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # kB
    assert str(file) in str(found.value)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 1000


@pytest.mark.parametrize(
    "config",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[]",
        "null",
        "3",
        '"x"',
        "{}",
        "",
        "{",
        "9" * 10_000,
        '{"detector": ' + "9" * 9999 + "}",
    ],
)
def test_a_header_that_is_no_configuration_is_refused(tmp_path, tiny, config):
    file = written(tmp_path, tiny, config)
    for read in (load, read_config):
        with pytest.raises(CheckpointError) as found:
            read(file)
        assert str(file) in str(found.value)
        assert len(str(found.value)) < 1000


@pytest.mark.parametrize("version", ["-1", "9" * 5000, "x", "", "²", "1.0"])
def test_a_strange_format_version_is_refused(tmp_path, tiny, version):
    state, metadata = tiny
    save_file(state, tmp_path / "v.safetensors", {**metadata, "format_version": version})
    with pytest.raises(CheckpointError, match="format version"):
        read_config(tmp_path / "v.safetensors")


@pytest.mark.parametrize("kind", [torch.int8, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_that_are_no_floats_are_named(tmp_path, tiny, kind):
    state, metadata = tiny
    save_file({key: value.to(kind) for key, value in state.items()}, tmp_path / "k.safetensors", metadata)
    with pytest.raises(CheckpointError, match=rf"k\.safetensors: .* holds {str(kind).split('.')[1]} numbers"):
        load(tmp_path / "k.safetensors")


def test_tensors_of_other_ranks_are_named(tmp_path, tiny):
    state, metadata = tiny
    for shape in ((), (0,), (1, 1, 1, 1, 1)):
        file = tmp_path / "s.safetensors"
        save_file({key: torch.zeros(shape, dtype=value.dtype) for key, value in state.items()}, file, metadata)
        with pytest.raises(CheckpointError, match=r"has shape|wrong shape"):
            load(file)


def test_pickles_that_hold_themselves_or_nest_are_refused(tmp_path):
    loop: dict = {}
    loop["model"] = loop
    deep: dict = {}
    for _ in range(300):
        deep = {"model": deep}
    for content in (loop, deep, {"model": 3}, {1: 2}, {"model": {"x": torch.zeros(1).to_sparse()}}):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(CheckpointError):
            load(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["x" * 300 + ".pt", "a\0b.pt", "~nobody-of-that-name/x.pt", "/" + "y/" * 5000])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(CheckpointError):
        find_weights(name, download=False)


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe.safetensors", tmp_path / "zero.pt"):
        with pytest.raises(CheckpointError, match="is no regular file: give a weights file"):
            load(path)
    with pytest.raises(CheckpointError):
        load(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model in transformers' layout, without our header."""
    from dataclasses import replace

    from sam3model.build import build
    from sam3model.config import Sam3Config, ScoringConfig

    path = tmp_path_factory.mktemp("tf")
    detector = sam3_tiny().detector
    hidden = replace(detector, scoring=ScoringConfig(hidden=detector.fusion.ffn), nms=None)
    save_transformers(build(Sam3Config(hidden)), path)
    state = load_file(path / "model.safetensors")
    save_file(state, path / "model.safetensors", {"format": "pt"})
    return path


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_a_transformers_configuration_is_read_or_refused(folder, data):
    content = json.loads((folder / "config.json").read_text())
    original = json.dumps(content)
    place = content
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            break
        place = place[key]
    numbers = st.sampled_from([0, -1, 10**9, 10**30, 0.5, float("nan"), float("inf"), 1e308])
    place[key] = data.draw(numbers | st.none() | st.text(max_size=3) | st.booleans() | st.lists(numbers, max_size=3))
    try:
        (folder / "config.json").write_text(json.dumps(content))
        load(folder)
    except (CheckpointError, ConfigError) as error:
        assert "\n" not in str(error)
    finally:
        (folder / "config.json").write_text(original)


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, "null", "3", "", "\xff", '{"detector_config": []}'])
def test_a_config_json_that_is_none_is_refused(folder, text):
    original = (folder / "config.json").read_text()
    try:
        (folder / "config.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(CheckpointError, match=r"config\.json"):
            load(folder)
    finally:
        (folder / "config.json").write_text(original)
