"""`sam3agent segment` as a process: all instances of a concept, and one object by clicks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.cli import main
from sam3model.build import Sam3Model
from sam3model.checkpoint import load, save_native
from sam3model.ops.masks import decode_rle
from tests.agent.world import World
from tests.cli.test_cli import run

ONE = ("--click", "30,60")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    World().image.save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--point", "9999,9999"), "--point 9999,9999 is outside the image of 240x160 pixels"),
        (("--phrase", "ball", "--negative-point", "240,10"), "--negative-point 240,10 is outside"),
        (("--click", "-1,10"), "--click -1,10 is outside the image of 240x160 pixels"),
        (("--click", "nan,10"), "outside the image"),
        ((*ONE, "--click-out", "10,160"), "--click-out 10,160 is outside the image"),
        (("--click", "30"), "not a point: write x,y in pixels"),
        (("--object-box", "30,40,30,80"), "x1 > x0"),
        (("--object-box", "30,40,30"), "not a box"),
        (("--negative-point", "3,4"), "negative examples alone find nothing"),
        (("--negative-box", "3,4,5,6"), "negative examples alone find nothing"),
        (("--click-out", "3,4"), "--click-out alone describes no object: add --click or --object-box"),
        (("--multimask",), "--multimask alone describes no object"),
        ((*ONE, "--phrase", "ball"), "segment one object: do not add --phrase, --box or --point"),
        (("--object-box", "3,4,5,6", "--point", "3,4"), "segment one object"),
        ((*ONE, "--threshold", "0.3"), "--threshold is for phrases and examples"),
        (ONE, "this segmenter cannot segment one object by clicks"),
    ],
)  # fmt: skip
def test_invalid_prompts_are_one_line_and_exit_code_2(
    image: Path, arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(image.parent)
    monkeypatch.setattr("sam3agent.cli.segment.make_segmenter", lambda settings: World())
    with pytest.raises(SystemExit) as left:
        main(["segment", image.name, *arguments])
    shown = capsys.readouterr()
    last = shown.err.strip().splitlines()[-1]
    assert left.value.code == 2 and shown.out == ""
    assert last.startswith("sam3agent: ") and said in last
    assert not (image.parent / "sam3agent-out").exists()


def test_weights_without_interactive_heads_say_so(tmp_path: Path, image: Path) -> None:
    save_native(load("tiny"), tmp_path / "lean.safetensors")
    done = run("segment", image.name, *ONE, "--json", "--weights", "lean.safetensors", cwd=tmp_path, fake=False)
    assert done.returncode == 2 and done.stdout == b""
    assert done.stderr.decode().startswith("sam3agent: these weights have no interactive heads: use weights that have")
    assert done.stderr.count(b"\n") == 1


def test_points_at_the_edge_are_inside_and_negative_examples_go_with_a_phrase(tmp_path: Path, image: Path) -> None:
    done = run("segment", image.name, "--phrase", "ball", "--negative-point", "0,159", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(b"2 masks"), done.stderr


def test_the_help_separates_all_instances_from_one_object(tmp_path: Path) -> None:
    shown = run("segment", "--help", cwd=tmp_path, fake=False, COLUMNS="100").stdout.decode()
    concept, one, rest = (
        shown.index(heading) for heading in ("\nAll instances of a concept:", "\nOne object only:", "\nOptions:")
    )
    groups = {"concept": shown[concept:one], "one": shown[one:rest]}
    for flag in ("--phrase", "--box", "--negative-box", "--point", "--negative-point"):
        assert f"\n  {flag} " in groups["concept"]
    for flag in ("--click X,Y", "--click-out X,Y", "--object-box X0,Y0,X1,Y1", "--multimask"):
        assert f"\n  {flag} " in groups["one"]
    assert "--json" in shown[rest:] and concept < one < rest


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights that have interactive heads, and an image."""
    from tests.model.test_object_prediction import heads, photo, predictor

    folder = tmp_path_factory.mktemp("small")
    save_native(Sam3Model(predictor().model, heads()), folder / "small.safetensors")
    Image.fromarray(photo()).save(folder / "a.png")
    return folder


WITH_SMALL = ("segment", "a.png", "--weights", "small.safetensors", "--device", "cpu", "--dtype", "float32", "--json")


def test_clicks_segment_one_object(small: Path) -> None:
    from tests.model.test_object_prediction import photo, predictor

    encoded = predictor().encode(photo())
    prompts = ("--click", "60,50", "--click-out", "100,20", "--object-box", "20,15,90,80", "--out", "one")
    done = run(*WITH_SMALL, *prompts, cwd=small, fake=False)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    value = json.loads(done.stdout)
    expected = predictor().predict_object(
        encoded, points=[[60, 50], [100, 20]], point_labels=[1, 0], box=[20, 15, 90, 80]
    )
    (mask,) = value["masks"]
    assert np.array_equal(decode_rle(mask["rle"]), expected.masks[0])
    assert mask["predicted_iou"] == mask["score"] == pytest.approx(expected.ious[0], abs=1e-4)
    assert mask["phrase"] is None and value["query"] == "click" and value["image"] == {"width": 144, "height": 108}
    stored = json.loads((small / "one" / "masks.json").read_text())
    assert stored["annotations"][0]["segmentation"] == mask["rle"] and (small / value["overlay"]).is_file()


def test_a_single_click_gives_the_best_candidate_or_all_three(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from tests.model.test_object_prediction import photo, predictor

    monkeypatch.chdir(small)
    found = []
    for flags in ((), ("--multimask",)):
        with pytest.raises(SystemExit) as left:
            main([*WITH_SMALL, "--click", "60,50", *flags])
        assert left.value.code == 0
        found.append(json.loads(capsys.readouterr().out)["masks"])
    (best,), three = found
    expected = predictor().predict_object(predictor().encode(photo()), points=[60, 50])
    assert np.array_equal(decode_rle(best["rle"]), expected.masks[expected.ious.argmax()])
    assert [mask["score"] for mask in three] == pytest.approx(sorted(expected.ious, reverse=True), abs=1e-4)
    assert [mask["id"] for mask in three] == [1, 2, 3] and three[0]["rle"] == best["rle"]
