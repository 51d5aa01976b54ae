"""YTVIS, LV-VIS and SA-Co/VEval: tracks in JSON."""

import json
import math
import shutil
from typing import Any

import pytest

from .video_datasets import GOLDENS, error_of, figures, rle, runs, square, write_json

A, B = square(1, 1), square(1, 9)


def vis(encode=runs) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Two videos of three frames: a track with space-time IoU 2/3, and one predicted exactly."""
    videos = [
        {"id": k, "file_names": [f"v{k}/{t:05d}.jpg" for t in range(3)], "height": 12, "width": 16, "length": 3}
        for k in (1, 2)
    ]
    shared = {"height": 12, "width": 16, "iscrowd": 0}
    annotations = [
        {"id": 1, "video_id": 1, "category_id": 1, **shared, "segmentations": [encode(A), encode(A), None]},
        {"id": 2, "video_id": 2, "category_id": 2, **shared, "segmentations": [None, encode(B), encode(B)]},
    ]
    for entry in annotations:
        entry["areas"] = [16 if m else None for m in entry["segmentations"]]
        entry["bboxes"] = [None if m is None else [1, 1, 4, 4] for m in entry["segmentations"]]
    categories = [{"id": k, "name": name, "supercategory": "object"} for k, name in ((1, "person"), (2, "dog"))]
    found = [
        {"video_id": 1, "category_id": 1, "score": 0.9, "segmentations": [rle(A)] * 3},
        {"video_id": 2, "category_id": 2, "score": 0.8, "segmentations": [None, rle(B), rle(B)]},
    ]
    return {"info": {}, "videos": videos, "categories": categories, "annotations": annotations}, found


@pytest.mark.parametrize(
    ("name", "flags", "path"),
    [
        ("ytvis", ("--split", "train"), "train/instances.json"),
        ("ytvis", (), "valid.json"),
        ("lvvis", (), "val/val_instances.json"),
    ],
)
def test_ap_uses_space_time_iou(tmp_path, name, flags, path):
    truth, found = vis()
    write_json(tmp_path / path, truth)
    write_json(tmp_path / "out/results.json", found)
    result = figures(name, tmp_path, tmp_path / "out", *flags)
    # 2/3 reaches the thresholds 0.5, 0.55, 0.6 and 0.65 of ten
    assert [result["AP"], result["AP_50"], result["AP_75"]] == pytest.approx([70, 100, 50])


def test_detections_of_a_crowd_are_ignored(tmp_path):
    truth, found = vis()
    crowd = {**truth["annotations"][1], "id": 3, "video_id": 1, "iscrowd": 1}
    truth["annotations"].append(crowd)
    found += [{**found[1], "video_id": 1}] * 2
    write_json(tmp_path / "valid.json", truth)
    result = figures("ytvis", tmp_path, write_json(tmp_path / "mine.json", found))
    assert [result["AP"], result["AP_50"]] == pytest.approx([70, 100])


def test_predictions_may_be_an_empty_file(tmp_path):
    write_json(tmp_path / "valid.json", vis()[0])
    assert figures("ytvis", tmp_path, write_json(tmp_path / "mine.json", []))["AP"] == 0


def veval() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Phrase 1 is found in video 1 and missed in video 2; phrase 2 is correctly not found."""
    truth, found = vis(rle)
    truth["annotations"][1]["category_id"] = 1
    truth["video_np_pairs"] = [
        {"id": k, "video_id": v, "category_id": c, "noun_phrase": "x", "num_masklets": n}
        for k, (v, c, n) in enumerate([(1, 1, 1), (2, 1, 1), (1, 2, 0)])
    ]
    found = [{**found[0], "segmentations": truth["annotations"][0]["segmentations"]}]
    return truth, found


def test_veval_counts_negatives_and_misses(tmp_path):
    truth, found = veval()
    write_json(tmp_path / "annotation/saco_veval_yt1b_test.json", truth)
    write_json(tmp_path / "out/saco_veval_yt1b_test_preds.json", found)
    result = figures("saco-veval", tmp_path, tmp_path / "out", "--split", "yt1b_test")
    # TP 1, FN 1: F1 2/3; presence 1 TP, 1 FN, 1 TN: correlation 1/2
    assert result["pmF1"] == pytest.approx(100 * 2 / 3, abs=0.02)
    assert result["IL_MCC"] == pytest.approx(0.5, abs=1e-5)
    assert result["cgF1"] == pytest.approx(100 / 3, abs=0.02)
    assert result["pHOTA"] == pytest.approx(100 * math.sqrt(0.5))


def test_veval_gives_the_official_figures(tmp_path):
    (tmp_path / "annotation").mkdir()
    shutil.copy(GOLDENS / "metrics_video_gt.json", tmp_path / "annotation/saco_veval_sav_test.json")
    expected = json.loads((GOLDENS / "metrics_video_expected.json").read_text())["saco_veval"]["dataset_results"]
    found = figures("saco-veval", tmp_path, GOLDENS / "metrics_video_pred.json")
    names = {
        "cgF1": "video_mask_demo_cgf1_micro_50_95",
        "pHOTA": "video_mask_all_phrase_HOTA",
        "pmF1": "video_mask_demo_positive_micro_f1_50_95",
        "box cgF1": "video_bbox_demo_cgf1_micro_50_95",
        "phrase AP": "video_mask_phrase_ap_50_95",
    }
    assert [found[n] for n in names] == pytest.approx([100 * expected[o] for o in names.values()], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentations": [None]}, "entry 0: the field 'segmentations' has 1 items for 3 frames"),
        (
            {"segmentations": [None, {"size": [12, 16], "counts": "1"}, None]},
            "entry 0, segmentations[1]: RLE 'counts' do not",
        ),
        (
            {"segmentations": [None, {"size": [9, 9], "counts": [81]}, None]},
            "the mask is 9x9 pixels, but the image is 16x12",
        ),
        ({"video_id": 7}, "entry 0: video_id 7 or category_id 1 is not in the ground truth"),
        ({"score": float("nan")}, "the field 'score': expected 1 finite numbers"),
        ({"bboxes": [None, [1, 2], None]}, "entry 0, bboxes: expected 4 finite numbers"),
    ],
)
def test_an_invalid_prediction_is_reported(tmp_path, capsys, change, message):
    truth, found = vis()
    write_json(tmp_path / "valid.json", truth)
    results = write_json(tmp_path / "results.json", [{**found[0], **change}])
    text = error_of(capsys, "ytvis", tmp_path, results)
    assert message in text
    assert "results.json" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, "'annotations' is missing; this ground truth is only"),
        ({"videos": [{"id": 1, "length": 4, "file_names": ["a"], "height": 12, "width": 16}]}, "1 file names"),
        ({"videos": [{"id": 1, "length": 0, "file_names": [], "height": 12, "width": 1 << 30}]}, "is invalid"),
        ({"categories": [{"name": "person"}]}, "'id' is missing"),
        ({"categories": [{"id": 1}, {"id": "1"}]}, "'id' of categories is not unique, or mixes"),
    ],
)
def test_invalid_ground_truth_is_reported(tmp_path, capsys, change, message):
    truth, found = vis()
    write_json(tmp_path / "valid.json", truth | change)
    text = error_of(capsys, "ytvis", tmp_path, write_json(tmp_path / "results.json", found))
    assert message in text
    assert "valid.json" in text


def test_a_phrase_of_an_unknown_video_is_reported(tmp_path, capsys):
    truth, found = veval()
    truth["video_np_pairs"][2]["video_id"] = 9
    write_json(tmp_path / "annotation/saco_veval_sav_test.json", truth)
    results = write_json(tmp_path / "results.json", found)
    assert "video_np_pairs[2]" in error_of(capsys, "saco-veval", tmp_path, results)
