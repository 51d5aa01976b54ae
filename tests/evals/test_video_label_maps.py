"""DAVIS, MOSE and SA-V in their official layouts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from .video_datasets import GOLDENS, SIZE, error_of, figures, label_map, square, write_png

A, B = square(1, 1), square(1, 9)
SHIFTED = square(1, 10)  # against B: IoU 12 / 20, every boundary pixel within 1 pixel
NOTHING = np.zeros(SIZE, bool)
FRAMES = [f"{t:05d}.png" for t in range(5)]


def davis(root: Path) -> tuple[Path, Path]:
    """Five frames, two objects and a void pixel; first and last are not predicted, object 3 is only predicted."""
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("bike\n")
    truth = label_map({1: A, 2: B})
    truth[11, 15] = 255
    for name in FRAMES:
        write_png(root / "Annotations/480p/bike" / name, truth)
    predictions = root / "predictions"
    for name, second in zip(FRAMES[1:4], (B, SHIFTED, NOTHING), strict=True):
        write_png(predictions / "bike" / name, label_map({1: A, 2: second, 3: square(8, 4, 2)}))
    return root, predictions


def test_davis_averages_objects_over_the_inner_frames(tmp_path, capsys):
    found = figures("davis", *davis(tmp_path))
    second_j, second_f = (1 + 0.6 + 0) / 3, (1 + 1 + 0) / 3
    assert found["J"] == pytest.approx(50 * (1 + second_j))
    assert found["F"] == pytest.approx(50 * (1 + second_f))
    assert found["J&F"] == pytest.approx(80)
    assert (found["objects"], found["objects never seen"]) == (2, 0)
    assert "92.2" in capsys.readouterr().out  # the published figure is shown, too


def test_mose_has_its_own_layout(tmp_path):
    root, predictions = davis(tmp_path)
    (root / "train").mkdir()
    (root / "Annotations/480p").rename(root / "train/Annotations")
    assert figures("mose", root, predictions, "--split", "train")["J&F"] == pytest.approx(80)


def test_sav_objects_may_overlap_or_be_absent(tmp_path):
    truth, predictions = tmp_path / "sav_test/Annotations_6fps", tmp_path / "out"
    (tmp_path / "sav_test").mkdir()
    (tmp_path / "sav_test/sav_test.txt").write_text("sav_000001\n")
    for t, name in enumerate(f"{4 * t:05d}.png" for t in range(4)):
        write_png(truth / "sav_000001/000" / name, A)
        write_png(truth / "sav_000001/001" / name, square(1, 1, 2))
        write_png(truth / "sav_000001/002" / name, A if t in (0, 3) else NOTHING)
        for k, mask in enumerate((A, square(1, 1, 2) if t == 1 else NOTHING, NOTHING)):
            write_png(predictions / f"sav_000001/00{k}" / name, 255 * mask, indexed=False)
    found = figures("sav", tmp_path, predictions, "--split", "test")
    assert found["J&F"] == pytest.approx(75)
    assert (found["objects"], found["objects never seen"]) == (2, 1)


@pytest.mark.parametrize("name", ["davis", "sav"])
def test_folders_give_the_official_figures(tmp_path, name):
    golden = json.loads((GOLDENS / "metrics_jf.json").read_text())
    folder = {"davis": "Annotations/480p", "sav": "sav_val/Annotations_6fps"}[name]
    for video, entry in golden["videos"].items():
        tracks = {side: [o[side] for o in entry["objects"].values()] for side in ("gt", "pred")}
        for side, root in (("gt", tmp_path / folder), ("pred", tmp_path / "out")):
            for t, masks in enumerate(zip(*tracks[side], strict=True)):
                arrays = [coco.decode(m) > 0 for m in masks]
                if name == "davis":
                    labels = np.zeros(arrays[0].shape, np.uint8)
                    for k, mask in enumerate(arrays, 1):
                        labels[mask] = k
                    write_png(root / video / f"{t:05d}.png", labels)
                for object_name, mask in zip(entry["objects"], arrays, strict=True):
                    if name == "sav":
                        write_png(root / video / object_name / f"{t:05d}.png", mask)
    if name == "davis":
        (tmp_path / "ImageSets/2017").mkdir(parents=True)
        (tmp_path / "ImageSets/2017/val.txt").write_text("\n".join(golden["videos"]))
    found, expected = figures(name, tmp_path, tmp_path / "out"), golden["expected"][f"{name}_skip_1"]
    assert [found["J&F"], found["J"], found["F"]] == pytest.approx(
        [expected["JF"], expected["J"], expected["F"]], abs=1e-6
    )


def _make_rgb(path: Path) -> None:
    Image.new("RGB", (16, 12)).save(path)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "there is no file"),
        (_make_rgb, "has pixels of mode RGB"),
        (_truncate, "cannot be read as a PNG"),
        (lambda path: write_png(path, np.zeros((12, 15))), "is 15x12 pixels, not 16x12"),
        (lambda path: write_png(path, 255 * A, indexed=False), "give each object its own label"),
    ],
)
def test_an_invalid_prediction_is_reported(tmp_path, capsys, damage, message):
    root, predictions = davis(tmp_path)
    damage(predictions / "bike/00002.png")
    text = error_of(capsys, "davis", root, predictions)
    assert message in text
    assert "00002.png" in text


def test_many_videos_are_spread_over_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("evals.video.worker_pool.MIN_PARALLEL", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    root, predictions = davis(tmp_path)
    for folder in (root / "Annotations/480p", predictions):
        shutil.copytree(folder / "bike", folder / "boat")
    (predictions / "boat/00003.png").write_bytes((predictions / "boat/00001.png").read_bytes())
    (root / "ImageSets/2017/val.txt").write_text("bike\nboat\n")
    found = figures("davis", root, predictions)
    # in "boat" the second object is shifted in one frame of three and never lost
    assert found["J&F"] == pytest.approx((80 + 50 * (1 + (2 * 1 + 0.6) / 6 + 3 / 6)) / 2)
    assert found["objects"] == 4


def test_paths_outside_the_data_set_are_refused(tmp_path, capsys):
    root, predictions = davis(tmp_path / "set")
    (root / "ImageSets/2017/val.txt").write_text("../../../elsewhere\n")
    assert "is outside the data set" in error_of(capsys, "davis", root, predictions)


def test_ground_truth_only_on_the_server_is_an_error(tmp_path, capsys):
    write_png(tmp_path / "valid/Annotations/0a1b/00000.png", label_map({1: A}))
    assert "the challenge server" in error_of(capsys, "mose", tmp_path, tmp_path)
