"""Exported clips are read back by the readers of benchmarks, and their truth scores 100."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.command import main as evaluate
from sam3model.errors import InputError
from sam3model.frames import ClipFile
from sam3model.ops.masks import decode_rle
from sam3model.playground import Clip, clip
from sam3model.playground.clip_export import LAYOUTS, export_clips, main
from sam3model.playground.clip_phrases import clip_phrases
from tests.evals.video_clips import Found, Truth

SIZE = (128, 96)
FRAMES = 9
INDICES = range(4, 6)


@cache
def shown(name: str) -> Clip:
    split, index = name.split("_")
    return clip(split, int(index), size=SIZE, frames=FRAMES)


@cache
def owners(name: str, t: int) -> np.ndarray:
    return shown(name).frame(t).owners


def by_id(name: str, t: int) -> Found:
    return [(None, owners(name, t) == obj.id + 1) for obj in shown(name).objects]


def by_kind(name: str, t: int) -> Found:
    return [(obj.kind, owners(name, t) == obj.id + 1) for obj in shown(name).objects]


def by_phrase(name: str, t: int) -> Found:
    pairs = {query.phrase: query.ids for query in clip_phrases(shown(name))}
    return [(phrase, owners(name, t) == i + 1) for phrase, ids in pairs.items() for i in ids]


def export(folder: Path, layout: str) -> Path:
    return export_clips(folder, layout, "heldout", INDICES, size=SIZE, frames=FRAMES)


@pytest.mark.parametrize(
    ("layout", "benchmark", "truth", "expected"),
    [
        ("ytvis", ["ytvis"], by_kind, {"AP": 100}),
        ("veval", ["saco-veval"], by_phrase, {"cgF1": 100, "pHOTA": 100, "IL_MCC": 1}),
        ("davis", ["davis"], by_id, {"J&F": 100}),
        ("sav", ["sav"], by_id, {"J&F": 100}),
    ],
)
def test_the_truth_scores_100(tmp_path, monkeypatch, layout, benchmark, truth, expected) -> None:
    export(tmp_path, layout)
    monkeypatch.setattr("tests.evals.video_clips.SIZE", (SIZE[1], SIZE[0]))
    predictor = Truth(truth)
    out = tmp_path / "run"
    split = ["--split", "sav_val"] if layout == "veval" else []
    assert evaluate([*benchmark, "--root", str(tmp_path), "--out", str(out), *split], predictor=predictor) == 0
    outcome = json.loads((out / "metrics.json").read_text())
    assert outcome["scored"] == len(INDICES)
    assert {name: outcome["figures"][name] for name in expected} == pytest.approx(expected, abs=0.02)
    assert set(predictor.opened) == {"heldout_000004", "heldout_000005"}


def test_a_wrong_answer_does_not_score_100(tmp_path, monkeypatch) -> None:
    export(tmp_path, "davis")
    monkeypatch.setattr("tests.evals.video_clips.SIZE", (SIZE[1], SIZE[0]))

    def late(name: str, t: int) -> Found:
        return by_id(name, t if t in (0, 1) else t - 1)

    assert evaluate(["davis", "--root", str(tmp_path), "--out", str(tmp_path / "run")], predictor=Truth(late)) == 0
    assert json.loads((tmp_path / "run/metrics.json").read_text())["figures"]["J&F"] < 99


def test_label_maps_are_indexed_by_object_and_frames_are_the_images(tmp_path) -> None:
    listing = export(tmp_path, "davis")
    assert listing.read_text().split() == ["heldout_000004", "heldout_000005"]
    for name in listing.read_text().split():
        for t in range(FRAMES):
            with Image.open(tmp_path / f"Annotations/480p/{name}/{t:05d}.png") as labels:
                assert labels.mode == "P"
                assert labels.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
                assert np.array_equal(np.asarray(labels), owners(name, t))
            with Image.open(tmp_path / f"JPEGImages/480p/{name}/{t:05d}.jpg") as image:
                error = np.abs(np.asarray(image, int) - shown(name).frame(t).image)
                assert error.mean() < 6


def test_clips_to_train_on_have_masklets_on_every_fourth_frame(tmp_path) -> None:
    export(tmp_path, "sav-train")
    for name in ("heldout_000004", "heldout_000005"):
        data = json.loads((tmp_path / f"sav_train/{name}_manual.json").read_text())
        assert (data["video_frame_count"], data["masklet_num"]) == (FRAMES, len(shown(name).objects))
        for t, masks in zip(range(0, FRAMES, 4), data["masklet"], strict=True):
            for number, rle in zip(data["masklet_id"], masks, strict=True):
                assert np.array_equal(decode_rle(rle), owners(name, t) == number + 1)
        assert ClipFile(tmp_path / f"sav_train/{name}.mp4").count == FRAMES


def test_veval_has_negatives_and_hard_ones(tmp_path) -> None:
    data = json.loads(export(tmp_path, "veval").read_text())
    counts = [pair["num_masklets"] for pair in data["video_np_pairs"]]
    assert 0 in counts
    assert max(counts) > 0
    assert sum(counts) == len(data["annotations"])
    box = next(box for box in data["annotations"][0]["bboxes"] if box)
    assert all(side > 0 for side in box[2:])


def test_a_failed_export_has_no_listing(tmp_path, monkeypatch) -> None:
    def fail(self: Clip, t: int):
        raise InputError(f"cannot draw frame {t}")

    monkeypatch.setattr(Clip, "frame", fail)
    for layout in LAYOUTS:
        with pytest.raises(InputError):
            export(tmp_path / layout, layout)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--clips", "0"], "no clips to export"),
        (["--first", "-3"], "no clips to export"),
        (["--size", "3", "3"], "size="),
        (["--subset", "../up"], "invalid name of a subset"),
        (["--layout", "sav-train", "--size", "101", "78"], "choose an even width and height, not 101x78"),
    ],
)
def test_the_command_reports_mistakes_on_one_line(tmp_path, capsys, flags, message) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "out"), "--layout", "davis", "--clips", "1", *flags])
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not re.match(r"heldout:", line.strip())]
    assert len([line for line in lines if line.strip()]) == 1
    assert message in lines[-1]


def test_the_command_writes_a_range_of_clips(tmp_path) -> None:
    flags = ["--layout", "davis", "--first", "7", "--clips", "2", "--size", "96", "64", "--frames", "3"]
    main([str(tmp_path), *flags, "--split", "val", "--subset", "train"])
    assert (tmp_path / "ImageSets/2017/train.txt").read_text() == "val_000007\nval_000008\n"
    assert len(list((tmp_path / "JPEGImages/480p/val_000008").iterdir())) == 3
