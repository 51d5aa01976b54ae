"""The model on phrase-prompted videos, end to end: reader, runner, files and scorer agree."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.command import main
from evals.video import video_runner
from tests.evals.video_clips import FRAMES, Found, Truth, masks_at, small_model, write_frames
from tests.evals.video_datasets import SIZE, rle, write_json

NAMES = ("red_square", "blue_square", "green_square")
PHRASES = tuple(name.replace("_", " ") for name in NAMES)


def tracks_of(video: int) -> list[list[np.ndarray | None]]:
    return [list(track) for track in zip(*(masks_at(t, video) for t in range(FRAMES)), strict=True)]


def truth(video: str, t: int) -> Found:
    rows = zip(PHRASES, masks_at(t, int(video[1:])), strict=False)
    return [(phrase, np.zeros(SIZE, bool) if mask is None else mask) for phrase, mask in rows]


def vis() -> dict[str, Any]:
    """Two videos, a red and a blue object in each, nothing green."""
    videos = [
        {
            "id": k,
            "file_names": [f"v{k}/{t:05d}.jpg" for t in range(FRAMES)],
            "height": 12,
            "width": 16,
            "length": FRAMES,
        }
        for k in range(2)
    ]
    annotations = [
        {
            "id": 2 * k + c,
            "video_id": k,
            "category_id": c,
            "segmentations": [None if mask is None else rle(mask) for mask in track],
        }
        for k in range(2)
        for c, track in enumerate(tracks_of(k), 1)
    ]
    categories = [{"id": c, "name": name} for c, name in enumerate(NAMES, 1)]
    return {"videos": videos, "annotations": annotations, "categories": categories}


def write_ytvis(root: Path) -> Path:
    write_json(root / "valid/instances.json", vis())
    for k in range(2):
        write_frames(root / f"valid/JPEGImages/v{k}", k)
    return root


def write_lvvis(root: Path) -> Path:
    write_json(root / "val/val_instances.json", vis())
    for k in range(2):
        write_frames(root / f"val/JPEGImages/v{k}", k)
    return root


def write_veval(root: Path) -> Path:
    """Video 0 is asked for red, blue and, a negative, green; video 1 for red and blue."""
    data = vis()
    pairs = [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    data["video_np_pairs"] = [
        {"id": k, "video_id": v, "category_id": c, "noun_phrase": PHRASES[c - 1], "num_masklets": int(c < 3)}
        for k, (v, c) in enumerate(pairs)
    ]
    write_json(root / "annotation/saco_veval_sav_test.json", data)
    for k in range(2):
        write_frames(root / f"media/saco_sav/JPEGImages_24fps/v{k}", k)
    return root


def write_burst(root: Path) -> Path:
    """Every second frame is annotated; class 4 (common) and 7 are in both sequences, 9 is known to be absent."""
    ids = (4, 7, 9)
    sequences = []
    for k in range(2):
        names = [f"{t:05d}.jpg" for t in range(FRAMES)]
        masks = tracks_of(k)
        sequences.append(
            {
                "id": k,
                "dataset": "LaSOT",
                "seq_name": f"v{k}",
                "height": 12,
                "width": 16,
                "annotated_image_paths": names[::2],
                "all_image_paths": names,
                "neg_category_ids": [9],
                "not_exhaustive_category_ids": [],
                "track_category_ids": {"1": 4, "2": 7},
                "segmentations": [
                    {
                        str(i): {"rle": rle(m)["counts"]}
                        for i, m in enumerate((track[t] for track in masks), 1)
                        if m is not None
                    }
                    for t in range(0, FRAMES, 2)
                ],
            }
        )
        write_frames(root / f"frames/test/LaSOT/v{k}", k)
    categories = [{"id": c, "name": name} for c, name in zip(ids, NAMES, strict=True)]
    write_json(root / "test/all_classes.json", {"sequences": sequences, "categories": categories, "split": "test"})
    return root


WRITERS = {"ytvis": write_ytvis, "lvvis": write_lvvis, "saco-veval": write_veval, "burst": write_burst}
FILES = {
    "ytvis": "results.json",
    "lvvis": "results.json",
    "saco-veval": "saco_veval_sav_test_preds.json",
    "burst": "predictions.json",
}
PERFECT = {
    "ytvis": {"AP": 100},
    "lvvis": {"AP": 100},
    "saco-veval": {"cgF1": 100, "pHOTA": 100, "IL_MCC": 1},
    "burst": {"HOTA": 100, "HOTA common": 100, "HOTA uncommon": 100},
}


def run(name: str, root: Path, predictor: Truth | None, out: str = "run", *more: str) -> int:
    return main([name, "--root", str(root), "--out", str(root / out), *more], predictor=predictor)


def metrics(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize("name", list(WRITERS))
def test_the_truth_scores_100(tmp_path, name):
    root = WRITERS[name](tmp_path)
    predictor = Truth(truth)
    assert run(name, root, predictor) == 0
    result = metrics(root / "run")
    assert {key: result["figures"][key] for key in PERFECT[name]} == pytest.approx(PERFECT[name], abs=0.1)
    assert predictor.opened == ["v0", "v1"]  # one session for all phrases of a video
    assert predictor.phrases[0] == PHRASES
    written = root / "run/predictions" / FILES[name]
    assert run(name, root, None, "again", "--predictions", str(written)) == 0
    assert metrics(root / "again")["figures"] == result["figures"]


def test_written_tracks_have_what_the_official_evaluator_reads(tmp_path):
    root = write_veval(tmp_path)
    assert run("saco-veval", root, Truth(truth)) == 0
    tracks = json.loads((root / "run/predictions" / FILES["saco-veval"]).read_text())
    assert tracks and any(None in track["segmentations"] for track in tracks)
    for track in tracks:
        for mask, box, area in zip(track["segmentations"], track["bboxes"], track["areas"], strict=True):
            assert (mask is None) == (box is None) == (area is None)
            assert box is None or (len(box) == 4 and area > 0)


@pytest.mark.parametrize("name", list(WRITERS))
def test_an_invented_object_lowers_the_figures(tmp_path, name):
    """Predictions of the third phrase, which nothing has, reach the scorer under its category."""
    root = WRITERS[name](tmp_path)
    # what is green in the predictions is where the red square is, and red is missed
    swapped = {"red square": "green square", "green square": "red square", "blue square": "blue square"}
    predictor = Truth(lambda video, t: [(swapped[str(phrase)], mask) for phrase, mask in truth(video, t)])
    assert run(name, root, predictor) == 0
    headline = next(iter(PERFECT[name]))
    assert metrics(root / "run")["figures"][headline] < 80


def test_many_phrases_need_several_sessions(tmp_path, monkeypatch):
    monkeypatch.setattr(video_runner, "PHRASES_AT_ONCE", 2)
    predictor = Truth(truth)
    assert run("ytvis", write_ytvis(tmp_path), predictor) == 0
    assert predictor.phrases == [PHRASES[:2], PHRASES[2:]] * 2
    assert metrics(tmp_path / "run")["figures"]["AP"] == pytest.approx(100)


@pytest.mark.parametrize("name", list(WRITERS))
def test_a_failed_video_is_left_out_of_the_figures_and_retried(tmp_path, name):
    root = WRITERS[name](tmp_path)
    assert run(name, root, Truth(truth, ("v1",), RuntimeError("out of memory"))) == 1
    result = metrics(root / "run")
    assert (len(result["failures"]), result["scored"]) == (1, 1)
    headline = next(iter(PERFECT[name]))
    assert result["figures"][headline] == pytest.approx(PERFECT[name][headline], abs=0.1)
    again = Truth(truth)
    assert run(name, root, again) == 0
    assert again.opened == ["v1"]
    assert metrics(root / "run")["scored"] == 2


@pytest.mark.parametrize("name", list(WRITERS))
def test_joined_shards_have_the_figures_of_the_whole_run(tmp_path, name):
    root = WRITERS[name](tmp_path)

    def shifted(video: str, t: int) -> Found:
        return [(phrase, np.roll(mask, video == "v1", 1)) for phrase, mask in truth(video, t)]

    assert run(name, root, Truth(shifted)) == 0
    for i in (1, 2):
        assert run(name, root, Truth(shifted), f"runs/{i}", "--shard", f"{i}/2") == 0
    assert main(["report", str(root / "runs"), "--out", str(root / "report")]) == 0
    joined = json.loads((root / "report/report.json").read_text())[0]["figures"]
    assert joined == metrics(root / "run")["figures"]
    assert joined[next(iter(PERFECT[name]))] < 100


def test_frames_of_another_size_or_missing_are_failures_that_name_the_file(tmp_path):
    root = write_ytvis(tmp_path)
    (root / "valid/JPEGImages/v0/00003.jpg").unlink()
    for path in (root / "valid/JPEGImages/v1").iterdir():
        path.unlink()
    assert run("ytvis", root, Truth(truth)) == 1
    failures = metrics(root / "run")["failures"]
    assert "00003.jpg" in failures["0"]
    assert "v1/00000.jpg is missing" in failures["1"]


def test_a_small_model_runs_on_phrases(tmp_path):
    weights = small_model(tmp_path / "small.safetensors")
    root = write_veval(tmp_path)
    flags = ("--weights", str(weights), "--device", "cpu", "--dtype", "float32", "--limit", "1")
    assert run("saco-veval", root, None, "run", *flags) == 0
    result = metrics(root / "run")
    assert (result["scored"], result["failures"]) == (1, {})
