"""`sam3agent weights`: what a file holds, and the way from one layout to another and back."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from sam3agent.cli.app import app, guarded
from sam3model import checkpoint
from sam3model.build import build
from sam3model.config import InteractiveConfig, Sam3Config, TrackerConfig, VideoConfig
from sam3model.detector.model import Sam3ImageModel
from tests.model.weight_rule import small_config


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small size, with a training record."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(0)
    checkpoint.save_native(Sam3ImageModel(small_config()), path, metadata={"record": '{"steps": 7}'})
    return path


def run(*arguments: object) -> int:
    return guarded(lambda: app(args=["weights", *map(str, arguments)], standalone_mode=False))


def test_info_in_words_and_as_json(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", weights) == 0
    said = capsys.readouterr().out
    assert "native layout" in said and "M parameters in float32, image size 168 pixels" in said
    assert 'record: {"steps": 7}' in said
    assert run("info", weights, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["layout"] == "native" and value["metadata"] == {"record": '{"steps": 7}'}
    assert value["image_size"] == 168 and value["parameters"] > 1000


@pytest.mark.parametrize(("layout", "name"), [("transformers", "folder"), ("official", "deep/sam3.pt")])
def test_there_and_back_nothing_changes(weights: Path, tmp_path: Path, layout: str, name: str) -> None:
    there, back = tmp_path / name, tmp_path / "back.safetensors"
    assert run("convert", weights, there, "--layout", layout) == 0
    assert run("convert", there, back) == 0
    before, after = checkpoint.load(weights), checkpoint.load(back)
    assert before.config == after.config
    for (key, one), (_, other) in zip(before.state_dict().items(), after.state_dict().items(), strict=True):
        assert torch.equal(one, other), key


@pytest.mark.parametrize(
    ("layout", "name"), [("transformers", "folder"), ("official", "sam3.pt"), ("native", "n.safetensors")]
)
def test_all_parts_are_shown_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str, name: str
) -> None:
    config = Sam3Config(small_config(), InteractiveConfig(mlp=64), TrackerConfig(ffn=64), VideoConfig(hole_area=3))
    model, path = build(config, parts=None), tmp_path / "all.safetensors"
    checkpoint.save_native(model, path)
    assert run("convert", path, tmp_path / name, "--layout", layout) == 0
    assert run("convert", tmp_path / name, tmp_path / "back.safetensors") == 0
    assert (tmp_path / "back.safetensors").read_bytes() == path.read_bytes()
    capsys.readouterr()
    assert run("info", tmp_path / name) == 0
    assert "parts: detector, interactive, tracker, video" in capsys.readouterr().out
    assert run("info", tmp_path / name, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["parts"] == ["detector", "interactive", "tracker", "video"] and value["tracker"] == 0


def test_the_training_record_stays(weights: Path, tmp_path: Path) -> None:
    assert run("convert", weights, tmp_path / "copy.safetensors", "--layout", "native") == 0
    with safe_open(weights, "pt") as old, safe_open(tmp_path / "copy.safetensors", "pt") as new:
        assert old.metadata() == new.metadata()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("convert", "WEIGHTS", "out", "--layout", "onnx"), 2, "unknown layout 'onnx'; use one of native"),
        (("convert", "WEIGHTS", "out.pt"), 2, "must end in .safetensors"),
        (("convert", "nowhere.pt", "out.safetensors"), 2, "no weights at nowhere.pt"),
        (("convert", "WEIGHTS", "WEIGHTS/x.safetensors"), 1, "cannot write"),
        (("info", "nowhere.safetensors"), 2, "no weights at nowhere.safetensors"),
        (("info",), 2, "Missing argument"),
    ],
)
def test_failures_are_one_line_and_a_code(
    weights: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert run(*(text.replace("WEIGHTS", str(weights)) for text in arguments)) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1


def test_convert_with_another_detector(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`weights` has a detector alone, so it cannot be the source of clicks and tracker."""
    assert run("convert", weights, tmp_path / "whole.safetensors", "--detector", weights) == 2
    assert "has no interactive heads: leave out `detector=`" in capsys.readouterr().err


def test_convert_joins_two_files(tmp_path: Path) -> None:
    config = Sam3Config(small_config(), InteractiveConfig(mlp=64), TrackerConfig(ffn=64), VideoConfig())
    model, path, other = build(config, parts=None), tmp_path / "all.safetensors", tmp_path / "other.safetensors"
    checkpoint.save_native(model, path)
    torch.nn.init.zeros_(model.detector.decoder.query_embed.weight)
    checkpoint.save_native(Sam3ImageModel(small_config()), tmp_path / "foreign.safetensors")
    checkpoint.save_native(model, other)
    assert run("convert", path, tmp_path / "joined.safetensors", "--detector", other) == 0
    paths = tmp_path / "joined.safetensors", other
    joined, expected = (checkpoint.load(one, parts=None).state_dict() for one in paths)
    assert joined.keys() == expected.keys() and all(torch.equal(joined[key], expected[key]) for key in joined)
    assert not joined["detector.decoder.query_embed.weight"].any()
    assert run("convert", path, tmp_path / "no.safetensors", "--detector", tmp_path / "foreign.safetensors") == 2


def test_an_average_lies_between_both_and_says_what_it_is_of(weights: Path, tmp_path: Path) -> None:
    config = Sam3Config(small_config(), InteractiveConfig(mlp=64))
    trained, target = build(config, parts=None), tmp_path / "average.safetensors"
    checkpoint.save_native(trained, tmp_path / "trained.safetensors")
    parts = ("--keep", "interactive.", "--keep", "detector.text.")
    assert run("average", weights, tmp_path / "trained.safetensors", target, "--share", 0.25, *parts) == 0
    before, after = checkpoint.load(weights).state_dict(), trained.state_dict()
    now = checkpoint.load(target, parts=None)
    assert now.config == config
    for name, value in now.named_parameters():
        kept = name.startswith(("interactive.", "detector.text."))
        expected = after[name] if kept else 0.75 * before[name] + 0.25 * after[name]
        torch.testing.assert_close(value.detach(), expected, msg=name)
    with safe_open(target, "pt") as file:
        made_of = json.loads(file.metadata()["average"])
    assert made_of == {
        "before": "small.safetensors", "after": "trained.safetensors",
        "share": 0.25, "keep": ["interactive.", "detector.text."],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--share", "1.5"], "between 0 and 1"),
        (["--keep", "detector.txt."], "no parameter starts with 'detector.txt.'; did you mean 'detector.text.'?"),
        ([], "differ in interactive."),
    ],
)
def test_what_cannot_be_averaged(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], named: str
) -> None:
    checkpoint.save_native(
        build(Sam3Config(small_config(), InteractiveConfig(mlp=64)), parts=None), tmp_path / "other.safetensors"
    )
    for pair in ((weights, tmp_path / "other.safetensors"), (tmp_path / "other.safetensors", weights)):
        assert run("average", *pair, tmp_path / "target.safetensors", *flags) == 2
        assert named in capsys.readouterr().err and not (tmp_path / "target.safetensors").exists()
