"""Miniatures of the phrase benchmarks in their official layouts, with figures computed by hand."""

import json
import math
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from evals.command import main
from evals.readers.detection_sets import ODINW13
from sam3model.data.coco_file import real_categories
from tests.evals.block_images import (
    Blocks,
    annotation,
    draw,
    figures,
    image,
    polygon_of,
    rle_of,
    run,
    runs_of,
    write_json,
)

A, B, C = (8, 8, 24, 24), (32, 8, 48, 24), (8, 32, 24, 40)


def saco_file(pairs: list[tuple[int, str, str, bool]], masks: dict[int, list[tuple]]) -> dict:
    """Pairs (id, file, phrase, exhaustive) and the target boxes of each; `bbox` is normalised, as in SA-Co."""
    images = [image(i, name, text_input=text, is_instance_exhaustive=done) for i, name, text, done in pairs]
    rows = [
        {**annotation(100 * i + n, i, 1, box, rle_of(box)), "bbox": [box[0] / 64, box[1] / 48, 0.25, 0.33]}
        for i, boxes in masks.items()
        for n, box in enumerate(boxes)
    ]
    return {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "object"}]}


def test_saco_gold_scores_the_best_annotator_and_exhaustive_pairs(tmp_path):
    root = tmp_path / "gold"
    draw(root / "metaclip-images/1/a.jpg", ("red", A), ("red", B), ("green", C), ("yellow", (40, 32, 56, 40)))
    phrases = ("red block", "blue block", "green block", "yellow block", "red thing")
    pairs = [(i, "1/a.jpg", text, True) for i, text in enumerate(phrases)]
    unfinished = [(*pair[:3], pair[0] != 4) for pair in pairs]
    half = (8, 32, 16, 40)
    right, wrong = {0: [A, B], 2: [C], 4: [A]}, {0: [A], 2: [half], 4: [A]}
    for annotator, content in zip("abc", ((pairs, wrong), (pairs, right), (unfinished, wrong)), strict=True):
        write_json(root / f"gt-annotations/gold_crowded_merged_{annotator}_release_test.json", saco_file(*content))
    got = figures("saco-gold", root, "--split", "crowded")
    # positives: red (2 of 2) and green (1 of 1); negatives: blue (correctly empty) and yellow (one false positive)
    assert got["IL_MCC"] == pytest.approx(2 / math.sqrt(3 * 2 * 2 * 1), abs=1e-4)
    assert got["pmF1"] == pytest.approx(100, abs=0.02)
    assert got["cgF1"] == pytest.approx(57.73, abs=0.02)
    assert got["pairs"] == 4


def test_saco_silver_averages_over_subsets(tmp_path):
    root = tmp_path / "silver"
    names = ("bdd100k", "droid", "ego4d", "food_rec", "geode", "inaturalist", "nga_art", "sav", "yt1b")
    files = [f"silver_{name}_merged_test.json" for name in names] + ["silver_fathomnet_test.json"]
    for subset, file in zip((*names, "fathomnet"), files, strict=True):
        draw(root / subset / "x/p.png", ("red", A), ("blue", B))
        pairs = [(1, "x/p.png", "red block", True), (2, "x/p.png", "green block", True)]
        blue = [(3, "x/p.png", "blue block", True)] if subset == "droid" else []
        write_json(root / "gt-annotations" / file, saco_file(pairs + blue, {1: [A]}))
    got = figures("saco-silver", root)
    assert got["droid IL_MCC"] == pytest.approx(1 / 2, abs=1e-4)  # TP 1, TN 1, FP 1
    assert got["IL_MCC"] == pytest.approx((9 + 1 / 2) / 10, abs=1e-4)
    assert got["cgF1"] == pytest.approx(95, abs=0.02)
    assert figures("saco-silver", root, "--split", "sav")["pairs"] == 2


def test_coco_scores_boxes_and_masks_of_polygons_and_rles(tmp_path):
    root = tmp_path / "coco"
    draw(root / "val2017/000000000001.jpg", ("red", A), ("red", B), ("blue", C))
    draw(root / "val2017/000000000002.jpg", ("red", A))
    wide = (8, 32, 40, 40)
    rows = [
        annotation(1, 1, 1, A, [polygon_of(A)]),
        annotation(2, 1, 1, B, rle_of(B)),
        annotation(3, 2, 1, A, runs_of(A)),
        annotation(4, 1, 2, wide, [polygon_of(wide)]),  # the prediction is half of it: correct at IoU 0.5 only
    ]
    content = {
        "images": [image(1, "000000000001.jpg"), image(2, "000000000002.jpg")],
        "annotations": rows,
        "categories": [
            {"id": 1, "name": "red block"},
            {"id": 2, "name": "blue_block"},
            {"id": 3, "name": "green_(lawn)"},
        ],
    }
    write_json(root / "annotations/instances_val2017.json", content)
    got = figures("coco", root)
    assert got["box AP"] == got["mask AP"] == pytest.approx((100 + 10) / 2)
    assert got["mask AP_50"] == pytest.approx(100)
    assert got["mask AP_75"] == pytest.approx(50)
    first = json.loads((tmp_path / "out-coco/predictions.jsonl").read_text().splitlines()[0])
    assert first["phrases"] == ["red block", "blue block", "green lawn"]


def test_lvis_ignores_categories_that_were_not_checked(tmp_path):
    root = tmp_path / "lvis"
    draw(root / "val2017/000000000001.jpg", ("red", A), ("blue", B), ("green", C))
    draw(root / "train2017/000000000002.jpg", ("red", A), ("red", C), ("blue", B))
    url = "http://images.cocodataset.org/"
    checked = {"neg_category_ids": [2], "not_exhaustive_category_ids": []}
    partly = {"neg_category_ids": [], "not_exhaustive_category_ids": [1]}
    images = [
        {**image(1, ""), "coco_url": url + "val2017/000000000001.jpg", **checked},
        {**image(2, ""), "coco_url": url + "train2017/000000000002.jpg", **partly},
    ]
    names = [(1, "red_block", "f"), (2, "blue_block", "r"), (3, "green_block", "c")]
    write_json(
        root / "annotations/lvis_v1_val.json",
        {
            "images": images,
            "annotations": [
                annotation(1, 1, 1, A, [polygon_of(A)]),
                annotation(2, 2, 1, A, [polygon_of(A)]),
                annotation(3, 2, 2, B, [polygon_of(B)]),
            ],
            "categories": [{"id": i, "name": name, "frequency": group} for i, name, group in names],
        },
    )
    got = figures("lvis", root)
    assert got["mask AP_frequent"] == pytest.approx(100)  # the second red block of image 2 is ignored
    assert got["mask AP_rare"] == pytest.approx(50)  # a false positive with an equal score ranks first
    assert got["mask AP"] == pytest.approx(75)
    assert got["mask AP_common"] == -1  # green was never prompted
    # pairs: red 1 (correct), blue 1 (false), blue 2 (correct); red 2 is not exhaustive
    assert got["IL_MCC"] == pytest.approx(0, abs=1e-6)


def test_odinw_is_the_mean_of_13_data_sets(tmp_path):
    root = tmp_path / "odinw"
    for place in ODINW13:
        box = B if place == "pothole" else A
        content = {
            "images": [image(7, "p.jpg")],
            "annotations": [annotation(1, 7, 1, box)],
            "categories": [{"id": 1, "name": "red block"}],
        }
        if place.startswith("pistols"):
            folder, file = root / place, "test_annotations_without_background.json"
        else:
            folder, file = (
                root / place / ("valid" if place == "PascalVOC" else "test"),
                "annotations_without_background.json",
            )
        draw(folder / "p.jpg", ("red", A))
        write_json(folder / file, content)
    got = figures("odinw", root)
    assert got["box AP"] == pytest.approx(100 * 12 / 13)
    assert got["box AP pothole"] == 0


def test_rf100vl_leaves_out_the_root_category(tmp_path):
    root = tmp_path / "rf"
    for name, box in (("actions", A), ("bees", B)):
        draw(root / name / "test/p.jpg", ("red", A))
        categories = [
            {"id": 0, "name": name, "supercategory": "none"},
            {"id": 1, "name": "red-block", "supercategory": name},
            {"id": 2, "name": "red block", "supercategory": name},
        ]
        content = {"images": [image(0, "p.jpg")], "annotations": [annotation(0, 0, 2, box)], "categories": categories}
        write_json(root / name / "test/_annotations.coco.json", content)
    got = figures("rf100vl", root)
    assert got["box AP"] == pytest.approx(50)
    first = json.loads((tmp_path / "out-rf100vl/predictions.jsonl").read_text().splitlines()[0])
    assert first["phrases"] == ["red-block", "red block"]


def roboflow(root: Path, rows: list[dict], width: int = 64, height: int = 48) -> Path:
    """A data set of one image with a red block at A, in the layout of Roboflow-100-VL."""
    draw(root / "set/test/p.jpg", ("red", A))
    images = [{"id": 1, "file_name": "p.jpg", "width": width, "height": height}]
    categories = [{"id": 1, "name": "red block"}]
    content = {"images": images, "annotations": rows, "categories": categories}
    write_json(root / "set/test/_annotations.coco.json", content)
    return root


def test_an_image_of_another_size_than_its_annotations_is_not_scored(tmp_path):
    twice = (16, 16, 48, 48)
    result = run("rf100vl", roboflow(tmp_path / "rf", [annotation(1, 1, 1, twice)], 128, 96), code=1)
    assert result["scored"] == 0
    assert "is 64x48 pixels, but its annotations are for 128x96" in result["failures"]["set/1"]


def test_without_targets_and_detections_ap_is_undefined(tmp_path):
    root = roboflow(tmp_path / "rf", [])
    for name in ("p.jpg", "q.jpg"):  # two, so that intervals are computed
        Image.new("RGB", (64, 48), "green").save(root / "set/test" / name)
    path = root / "set/test/_annotations.coco.json"
    write_json(path, {**json.loads(path.read_text()), "images": [image(1, "p.jpg"), image(2, "q.jpg")]})
    result = run("rf100vl", root)
    assert result["scored"] == 2
    assert [result["figures"][name] for name in ("box AP", "box AP set")] == [-1, -1]
    assert not result["intervals_95"]


def test_an_image_is_read_as_its_annotations_have_it(tmp_path):
    root = roboflow(tmp_path / "rf", [annotation(1, 1, 1, A)])
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    path = root / "set/test/p.jpg"
    with Image.open(path) as opened:
        pixels = opened.convert("RGB")
    pixels.save(path, quality=100, subsampling=0, exif=turned)
    assert figures("rf100vl", root)["box AP"] == pytest.approx(100)


@pytest.mark.parametrize("box", [[24, 24, -16, -16], [8, 24, 16, -16]])
def test_targets_of_negative_size_are_refused(tmp_path, box, capsys):
    root = roboflow(tmp_path / "rf", [annotation(1, 1, 1, A) | {"bbox": box}])
    assert main(["rf100vl", "--root", str(root), "--out", str(tmp_path / "out")], segmenter=Blocks()) == 2
    assert "'bbox' has a negative width or height" in capsys.readouterr().err


def test_a_negative_area_is_that_of_the_box(tmp_path, caplog):
    root = roboflow(tmp_path / "rf", [annotation(1, 1, 1, A) | {"area": -256}])
    assert figures("rf100vl", root)["box AP"] == pytest.approx(100)
    assert "annotation 1: 'area' is negative: that of the box is used" in caplog.text


def test_a_roboflow_root_category_with_annotations_is_kept():
    animals, cat = {"id": 0, "name": "animals", "supercategory": "none"}, {"id": 1, "supercategory": "animals"}
    assert real_categories([animals, cat], [{"category_id": 1}]) == [cat]
    assert real_categories([animals, cat], [{"category_id": 0}]) == [animals, cat]


def test_countbench_counts_the_phrase_of_the_question(tmp_path):
    root = tmp_path / "count"
    draw(root / "images/1.png", ("red", A), ("red", B), ("blue", C))
    draw(root / "images/2.png", ("blue", A), ("blue", B))
    rows = [
        {"image": "1.png", "question": "How many red blocks are there in the image?", "number": 2},
        {"image": "2.png", "question": "How many blue blocks can be seen?", "number": 5},
    ]
    (root / "countbenchqa.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert figures("countbench", root) == {"accuracy": 50.0, "MAE": 1.5, "images": 2}


def test_a_missing_image_is_not_scored(tmp_path: Path):
    root = tmp_path / "count"
    draw(root / "images/1.png", ("red", A))
    rows = [{"image": f"{n}.png", "question": "How many red blocks?", "number": 1} for n in (1, 2)]
    (root / "countbenchqa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = run("countbench", root, code=1)
    assert result["figures"]["accuracy"] == 100
    assert (result["samples"], result["scored"]) == (2, 1)
    assert "2.png" in result["failures"]["2.png"]
