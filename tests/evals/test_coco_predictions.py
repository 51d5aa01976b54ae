"""`evals coco --predictions`: anyone's predictions on anyone's COCO file, with the numbers of pycocotools."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evals.command import main
from tests.evals.block_images import rle_of, runs_of, write_json

W, H = 640, 480
NAMES = ("AP", "AP_50", "AP_75", "AP_small", "AP_medium", "AP_large")
RECALLS = ("AR_maxDets@1", "AR_maxDets@10", "AR_maxDets@100", "AR_small", "AR_medium", "AR_large")


def polygon(x: float, y: float, w: float, h: float) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h]]


def rle(x: float, y: float, w: float, h: float) -> dict[str, Any]:
    code = coco_mask.merge(coco_mask.frPyObjects(polygon(x, y, w, h), H, W))
    return {"size": [H, W], "counts": code["counts"].decode()}


@pytest.fixture
def drawn() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Twelve images of all sizes of objects, crowds among them, and predictions near them and elsewhere."""
    rng = np.random.default_rng(1)
    images = [{"id": 7 * i + 1, "file_name": f"{i}.jpg", "width": W, "height": H} for i in range(12)]
    annotations, predictions = [], []
    for image in images:
        for _ in range(6):
            x, y, w, h = (float(v) for v in (*rng.integers(0, 300, 2), *rng.integers(8, 170, 2)))
            category, crowd = int(rng.integers(1, 4)), int(rng.random() < 0.1)
            shape: Any = polygon(x, y, w, h) if not crowd else rle(x, y, w, h)
            place = {"image_id": image["id"], "category_id": category}
            row = {"id": len(annotations) + 1, **place, "bbox": [x, y, w, h], "area": w * h * 0.7, "iscrowd": crowd}
            annotations.append({**row, "segmentation": shape})
            for _ in range(int(rng.integers(0, 3))):
                dx, dy, dw = (float(v) for v in rng.normal(0, 6, 3))
                box = [max(x + dx, 0), max(y + dy, 0), max(w + dw, 4), h]
                score = round(float(rng.random()), 2)  # with ties
                predictions.append({**place, "bbox": box, "score": score, "segmentation": rle(*box)})
    categories = [{"id": i, "name": f"kind {i}"} for i in (1, 2, 3, 9)]
    return {"images": images, "annotations": annotations, "categories": categories, "info": {}}, predictions


def official(truth: dict[str, Any], predictions: list[dict[str, Any]], kind: str) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = json.loads(json.dumps(truth))
        known.createIndex()
        judge = COCOeval(known, known.loadRes(json.loads(json.dumps(predictions))), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.tolist()


def scored(root: Path, predictions: Path, *flags: str) -> dict[str, Any]:
    out = root.parent / "out"
    assert main(["coco", "--root", str(root), "--predictions", str(predictions), "--out", str(out), *flags]) == 0
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.parametrize("change", ["both", "masks only", "boxes only"])
def test_numbers_are_those_of_pycocotools(tmp_path, drawn, change):
    truth, predictions = drawn
    dropped = {"masks only": "bbox", "boxes only": "segmentation"}.get(change)
    predictions = [{name: value for name, value in p.items() if name != dropped} for p in predictions]
    write_json(tmp_path / "data/annotations/instances_val2017.json", truth)
    write_json(tmp_path / "results.json", predictions)
    result = scored(tmp_path / "data", tmp_path / "results.json", "--resamples", "50")
    for kind, prefix in (("bbox", "box"), ("segm", "mask")):
        ours = [result["figures"].get(f"{prefix} {name}") for name in (*NAMES, *RECALLS)]
        if kind == "segm" and change == "boxes only":
            assert ours == [None] * 12
            continue
        expected = [100 * value if value >= 0 else -1 for value in official(truth, predictions, kind)]
        assert ours == pytest.approx(expected, abs=1e-9)
        low, high = result["intervals_95"][f"{prefix} AP"]
        assert low < result["figures"][f"{prefix} AP"] < high
    assert result["samples"] == 12
    assert result["system"] == "results.json"


def tiny() -> dict[str, Any]:
    box = [8, 8, 16, 16]
    row = {"id": 1, "image_id": 5, "category_id": 1, "bbox": box, "area": 256, "segmentation": rle_of((8, 8, 24, 24))}
    images = [{"id": 5, "file_name": "5.png", "width": 64, "height": 48}]
    return {"images": images, "annotations": [row], "categories": [{"id": 1, "name": "block"}]}


FOUND = {"image_id": 5, "category_id": 1, "score": 0.5, "bbox": [8, 8, 16, 16]}


@pytest.mark.parametrize("name", ["my labels.json", "_annotations.coco.json", "annotations/export.json"])
def test_the_annotation_file_may_have_any_name(tmp_path, name):
    write_json(tmp_path / "data" / name, tiny())
    write_json(tmp_path / "results.json", [{**FOUND, "segmentation": runs_of((8, 8, 24, 24))}])
    for root in (tmp_path / "data", tmp_path / "data" / name):
        figures = scored(root, tmp_path / "results.json")["figures"]
        assert figures["box AP"] == figures["mask AP"] == pytest.approx(100)


def test_several_annotation_files_are_asked_about(tmp_path, capsys):
    for name in ("a.json", "b.json"):
        write_json(tmp_path / "data" / name, tiny())
    write_json(tmp_path / "results.json", [])
    arguments = ["coco", "--root", str(tmp_path / "data"), "--predictions", str(tmp_path / "results.json")]
    assert main(arguments) == 2
    assert "holds several JSON files (a.json, b.json): give the annotation file itself" in capsys.readouterr().err


def test_a_coco_file_with_scores_is_a_results_file(tmp_path):
    write_json(tmp_path / "data.json", tiny())
    write_json(tmp_path / "results.json", {**tiny(), "annotations": [FOUND]})
    assert scored(tmp_path / "data.json", tmp_path / "results.json")["figures"]["box AP"] == pytest.approx(100)


@pytest.mark.parametrize("form", [str, float])
def test_ids_may_be_texts_or_floats_in_both_files(tmp_path, form):
    truth = tiny()
    truth["images"][0]["id"] = truth["annotations"][0]["image_id"] = form(5)
    truth["annotations"][0]["category_id"] = truth["categories"][0]["id"] = form(1)
    write_json(tmp_path / "data.json", truth)
    write_json(tmp_path / "results.json", [{**FOUND, "image_id": form(5), "category_id": form(1)}])
    assert scored(tmp_path / "data.json", tmp_path / "results.json")["figures"]["box AP"] == pytest.approx(100)


def test_boxes_that_are_corners_are_refused(tmp_path, capsys):
    truth = tiny()
    truth["annotations"][0]["bbox"] = [8, 8, 24, 24]
    write_json(tmp_path / "data.json", truth)
    write_json(tmp_path / "results.json", [FOUND])
    arguments = ["coco", "--root", str(tmp_path / "data.json"), "--predictions", str(tmp_path / "results.json")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "data.json: the boxes look like x0, y0, x1, y1; write them as" in capsys.readouterr().err


def test_no_predictions_and_unknown_categories_score_0(tmp_path, caplog):
    write_json(tmp_path / "data.json", tiny())
    write_json(tmp_path / "results.json", [])
    assert scored(tmp_path / "data.json", tmp_path / "results.json")["figures"]["box AP"] == 0
    write_json(tmp_path / "results.json", [{**FOUND, "category_id": 0}])
    assert scored(tmp_path / "data.json", tmp_path / "results.json")["figures"]["box AP"] == 0
    assert "1 of 1 predictions have a category_id that the annotations lack" in caplog.text


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ({**FOUND, "score": float("nan")}, "prediction 1: the score is nan, not a finite number"),
        ({**FOUND, "score": float("inf")}, "prediction 1: the score is inf"),
        ({**FOUND, "score": "0.5"}, "prediction 1: the score is '0.5'"),
        ({**FOUND, "bbox": [0, 0, float("inf"), 1]}, "prediction 1: 'bbox' is not four finite numbers"),
        ({**FOUND, "bbox": [8, 8, -16, 16]}, "prediction 1: 'bbox' has a negative width"),
        ({**FOUND, "image_id": 6}, "prediction 1: image_id 6 is not in the annotations"),
        ({**FOUND, "image_id": [5]}, "prediction 1: image_id [5] is not in the annotations"),
        ({**FOUND, "category_id": "one"}, "prediction 1: 'category_id' is not an integer"),
        ({"image_id": 5, "category_id": 1, "score": 1}, "prediction 1 has neither 'bbox' nor 'segmentation'"),
        ({"image_id": 5, "category_id": 1, "bbox": [0, 0, 1, 1]}, "prediction 1 has no 'score'"),
        ({**FOUND, "segmentation": {"size": [9, 9], "counts": "zz"}}, "prediction 1: 'segmentation' has another size"),
        ({**FOUND, "segmentation": {"size": [48, 64], "counts": "zz"}}, "prediction 1: RLE 'counts'"),
        ("text", "prediction 1 is a str, not an object"),
    ],
)
def test_an_unusable_prediction_is_named(tmp_path, prediction, message, capsys):
    write_json(tmp_path / "data.json", tiny())
    write_json(tmp_path / "results.json", [FOUND, prediction])
    arguments = ["coco", "--root", str(tmp_path / "data.json"), "--predictions", str(tmp_path / "results.json")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"results.json: {message}" in error
    assert error.count("\n") == 1


def test_figures_of_other_predictions_are_not_written_over(tmp_path, drawn, capsys):
    truth, predictions = drawn
    write_json(tmp_path / "data/instances.json", truth)
    for name in "ab":
        write_json(tmp_path / name / "results.json", predictions)
    arguments = ["coco", "--root", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--resamples", "0"]
    for _ in range(2):
        assert main([*arguments, "--predictions", str(tmp_path / "a/results.json")]) == 0
    before = (tmp_path / "out/metrics.json").read_text()
    capsys.readouterr()
    assert main([*arguments, "--predictions", str(tmp_path / "b/results.json")]) == 2
    assert "holds the figures of coco val of" in capsys.readouterr().err
    assert (tmp_path / "out/metrics.json").read_text() == before
    write_json(tmp_path / "out/run.json", {})
    assert main([*arguments, "--predictions", str(tmp_path / "a/results.json")]) == 2
    assert "holds a run of a model: choose another --out" in capsys.readouterr().err


def test_predictions_are_the_same_however_their_path_is_typed(tmp_path, drawn, monkeypatch, capsys):
    truth, predictions = drawn
    write_json(tmp_path / "data/instances.json", truth)
    for folder in (tmp_path, tmp_path / "elsewhere"):
        write_json(folder / "results.json", predictions)
    (tmp_path / "link").symlink_to(tmp_path)
    arguments = ["coco", "--out", str(tmp_path / "out"), "--resamples", "0"]

    def code(root: str, path: str) -> int:
        return main([*arguments, "--root", root, "--predictions", path])

    monkeypatch.chdir(tmp_path)
    for root in ("data", "./data", str(tmp_path / "data"), "link/data"):
        for path in ("results.json", "data/../results.json", str(tmp_path / "results.json"), "link/results.json"):
            assert code(root, path) == 0
    assert code("data", "results.json") == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert code("../data", "results.json") == 2
    assert f"of {tmp_path / 'results.json'} under {tmp_path / 'data'}: choose" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [{}, {"root": None, "predictions": 3}, {"predictions": "\0"}])
def test_figures_that_do_not_say_of_what_are_not_written_over(tmp_path, drawn, settings, capsys):
    write_json(tmp_path / "data/instances.json", drawn[0])
    write_json(tmp_path / "results.json", drawn[1])
    arguments = ["coco", "--root", str(tmp_path / "data"), "--predictions", str(tmp_path / "results.json")]
    arguments += ["--out", str(tmp_path / "out"), "--resamples", "0"]
    assert main(arguments) == 0
    before = json.loads((tmp_path / "out/metrics.json").read_text())
    write_json(tmp_path / "out/metrics.json", {**before, "settings": settings})
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "holds the figures of coco val of " in error
    assert "None" not in error
    assert error.count("\n") == 1
