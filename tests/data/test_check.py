"""`python -m train check` on miniature data sets, and a run that learns from one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from sam3model.errors import ConfigError, DataError, OutputError
from sam3model.parse import merge, parse
from sam3model.training.concept_task import ConceptTask
from sam3model.training.run import train
from sam3model.training.settings import TrainConfig
from tests.data.annotated_sets import annotation, image, small_coco, write, write_image
from tests.training.conftest import SETTINGS, TINY_MODEL
from train.app import main
from train.check import check

ROOT = Path(__file__).parents[2]


def config(root: Path, **changes: object) -> TrainConfig:
    values = merge(SETTINGS | {"out": str(root / "runs")}, {"data": {"source": "coco", "root": str(root)}} | changes)
    return parse(TrainConfig, values)


def lines(report: str) -> dict[str, str]:
    return {line[:14].strip(): line[15:] for line in report.splitlines()}


def test_a_data_set_is_reported_with_a_contact_sheet(tmp_path):
    small_coco(tmp_path, count=10)
    small_coco(tmp_path, "valid", count=3)
    report = lines(check(config(tmp_path)))
    assert report["images"] == "10 for training, 3 for validation; 0 without instances"
    assert report["sizes"] == "40x30"
    assert report["instances"] == "15, 15 of them with a mask"
    assert report["best weights"] == "chosen by cgF1"
    assert "warning" not in report
    assert report["phrases"] == "2, each with its number of images: cat (10), dog on the left (5)"
    assert report["never present"] == "2: bird, cow animal"
    assert report["broken"] == "none"
    with Image.open(report["contact sheet"]) as sheet:
        assert sheet.width > 1000
        assert len(sheet.convert("RGB").getcolors(1 << 24) or ()) > 1000


def test_names_of_files_may_be_any(tmp_path):
    path = small_coco(tmp_path, count=4) / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    for row, name in zip(content["images"], ("a\nb.png", os.fsdecode(b"b\xe4r.png"), "\U0001f43b.png"), strict=False):
        (path.parent / row["file_name"]).rename(path.parent / name)
        row["file_name"] = name
    path.write_text(json.dumps(content))
    report = lines(check(config(tmp_path)))
    assert report["images"].startswith("3 for training, 1 for validation") and report["broken"] == "none"


def test_what_is_broken_is_reported(tmp_path):
    small_coco(tmp_path, count=10)
    (tmp_path / "train" / "4.png").write_text("not an image")
    report = lines(check(config(tmp_path, data={"source": "coco", "root": str(tmp_path), "broken": 0.2})))
    assert report["images"].startswith("9 for training, 1 for validation")
    assert report["broken"] == "1: image file is unreadable"
    with pytest.raises(DataError, match="1 of 10 images are unusable"):
        check(config(tmp_path, data={"source": "coco", "root": str(tmp_path), "broken": 0.0}))


def test_sets_of_boxes_and_federated_sets_are_reported(tmp_path):
    images = [image(number, neg_category_ids=[2], not_exhaustive_category_ids=[1]) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        write_image(tmp_path / "images" / f"{number}.png", number)
    boxes = [annotation(number, number, 1, segmentation=[]) for number in (1, 2, 3)]
    write(tmp_path / "annotations" / "lvis_v1_train.json", images, boxes, ["alarm_clock", "bow_(weapon)"])
    report = lines(check(config(tmp_path)))
    assert report["instances"] == "2, 0 of them with a mask"
    assert report["not exhaustive"].startswith("2 ")
    assert report["per positive"].endswith("0 % with a mask")
    assert report["never present"] == "1: bow weapon"
    assert report["best weights"] == "chosen by AP_with_absent"
    assert report["warning"] == "there are no masks: only boxes are trained"


def test_a_set_without_negatives_is_warned_about(tmp_path):
    small_coco(tmp_path)
    report = lines(check(config(tmp_path, data={"source": "coco", "root": str(tmp_path), "negatives": 0.0})))
    assert report["negative"].startswith("0 ")
    assert report["best weights"] == "chosen by positive_micro_F1"
    assert report["warning"].startswith("every phrase matches something")


def test_scenes_can_be_checked_as_well(tmp_path):
    report = lines(check(parse(TrainConfig, SETTINGS | {"out": str(tmp_path)})))
    assert report["prompts"].startswith("3.0 per image")
    assert Path(report["contact sheet"]).exists()


def test_check_is_a_command_with_plain_errors(tmp_path, capsys):
    assert main(["check", "data=coco", f"data.root={tmp_path / 'nowhere'}"]) == 2
    assert capsys.readouterr().err.endswith("nowhere is not a folder\n")
    assert main(["check", "data=coco"]) == 2
    assert "data.root=DIR" in capsys.readouterr().err
    assert main(["check", "data=coco", f"data.root={tmp_path}", "data.transforms=[{flop: {}}]"]) == 2
    assert "did you mean 'flip'?" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["/dev/null/x", "/proc/nope"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, out, capsys):
    small_coco(tmp_path)
    assert main(["check", "data=coco", f"data.root={tmp_path}", f"out={out}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"train: out: cannot make the folder {out}")
    assert error.count("\n") == 1


def test_the_sheet_is_whole_or_not_there(tmp_path, monkeypatch):
    small_coco(tmp_path)
    sheet = tmp_path / "runs" / "test" / "contact_sheet.png"
    check(config(tmp_path))
    before = sheet.read_bytes()
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OutputError, match=r"cannot write .*contact_sheet\.png: No space left on device"):
        check(config(tmp_path))
    assert [path.name for path in sheet.parent.iterdir()] == [sheet.name]
    assert sheet.read_bytes() == before


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("item", [{"flip": {"chanse": 0.5}}, {"crop": {"min_scale": 0.0}}, {"flip": {}, "crop": {}}])
def test_transforms_refuse_settings_that_they_have_not(tmp_path, item):
    small_coco(tmp_path)
    with pytest.raises(ConfigError):
        check(config(tmp_path, data={"source": "coco", "root": str(tmp_path), "transforms": [item]}))


def test_a_run_learns_from_a_folder(tmp_path):
    small_coco(tmp_path)
    settings = config(tmp_path, budget={"steps": 2}, model={"preset": "sam3_tiny", "overrides": TINY_MODEL})
    result = train(settings, ConceptTask)
    assert result.status == "finished"
    assert result.progress.samples == 4
    assert result.weights is not None
    assert result.weights.exists()


def test_kinds_of_data_sets_compose(tmp_path):
    from train.compose import settings

    small_coco(tmp_path)
    for kind, max_images in (("coco", None), ("odinw", 10), ("rf100vl", 100), ("saco", None)):
        data = settings([f"data={kind}", f"data.root={tmp_path}"]).data
        assert data.max_images == max_images
        assert data.transforms


def test_check_as_a_process(tmp_path):
    small_coco(tmp_path)
    command = [sys.executable, "-m", "train", "check", "data=coco", f"data.root={tmp_path}", f"out={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "contact sheet" in done.stdout
