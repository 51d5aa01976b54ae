"""Untrusted files: no code is run, no path leaves the root, every error is one line with file and field."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from evals.command import main
from evals.dataset_files import read_pickle, read_text
from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError
from tests.evals.block_images import Blocks, annotation, draw, image, polygon_of, rle_of, write_json

A = (8, 8, 24, 24)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_read_and_others_refused(tmp_path, protocol):
    plain = [{"a": np.int64(3), "b": (1.5, "x"), "c": {1, 2}, "d": np.float32(0.5), "e": np.bool_(True), "f": None}]
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(plain, protocol))
    assert read_pickle(path) == [{"a": 3, "b": (1.5, "x"), "c": {1, 2}, "d": 0.5, "e": True, "f": None}]
    path.write_bytes(pickle.dumps([plain, Bomb(tmp_path / "exploded")], protocol))
    with pytest.raises(DataError, match=r"refs\.p: it contains .*mkdir, which is not allowed"):
        read_pickle(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "content", [b"", b"no pickle", pickle.dumps([1, 2, 3])[:-2], pickle.dumps(np.arange(3)), pickle.dumps(Path("x"))]
)
def test_invalid_pickles_are_reported(tmp_path, content):
    path = tmp_path / "refs.p"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"refs\.p"):
        read_pickle(path)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "link/secret.txt", "a\0b"])
def test_paths_outside_the_root_are_refused(tmp_path, name):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"is outside the data set|is not a valid path"):
        inside(tmp_path / "root", name)


def test_text_is_utf8_or_cp1252(tmp_path):
    path = tmp_path / "x.json"
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        path.write_bytes("café – naïve".encode(encoding))
        assert read_text(path) == "café – naïve"


def coco(**changes: object) -> dict:
    row = {**annotation(1, 1, 1, A, [polygon_of(A)]), **changes}
    return {
        "images": [image(1, "1.jpg")],
        "annotations": [{k: v for k, v in row.items() if v is not None}],
        "categories": [{"id": 1, "name": "red block"}],
    }


def coco_image(**changes: object) -> dict:
    return {**coco(), "images": [{**image(1, "1.jpg"), **changes}]}


BAD_COCO = [
    ([], "'images' is missing"),
    ({**coco(), "images": {}}, "'images' is a dict"),
    ({**coco(), "annotations": [3]}, "'annotations' holds something"),
    (coco(image_id=9), "annotation 1: 'image_id' is not in the file"),
    (coco(category_id="one"), "annotation 1: 'category_id' is not in the file"),
    (coco(bbox=None), "annotation 1: 'bbox' is not four finite numbers"),
    (coco(bbox=[1, 2, 3]), "annotation 1: 'bbox' is not four finite numbers"),
    (coco(segmentation=[[1, 2, 3, 4]]), "fewer than three points"),
    (coco(segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]]), "far outside"),
    (coco(segmentation=[[0, 0, float("nan"), 0, 1, 1]]), "far outside"),
    (coco(segmentation=[[0, 0, 10**400, 0, 1, 1]]), "not a number"),
    (coco(segmentation={**rle_of(A), "size": [48, 63]}), "annotation 1: 'segmentation'"),
    (coco(segmentation={"size": [48, 64], "counts": [5, 4]}), "do not add up to the image area"),
    (coco(segmentation={"size": [48, 64], "counts": "zzzz"}), "'counts'"),
    (coco(area=10**400), "annotation 1: 'area' is not a finite number"),
    (coco(bbox=[0, 0, 10**400, 1]), "'bbox' is not four finite numbers"),
    (coco_image(width=10**9), "image 1: 'width' or 'height' is invalid"),
    (coco_image(file_name="../../etc/passwd"), "is outside the data set"),
    (coco_image(file_name=7), "image 1: 'file_name' is missing"),
]


@pytest.mark.parametrize(("content", "message"), BAD_COCO)
def test_an_invalid_coco_file_is_reported_with_its_field(tmp_path, content, message, capsys):
    root = tmp_path / "coco"
    draw(root / "val2017/1.jpg", ("red", A))
    write_json(root / "annotations/instances_val2017.json", content)
    assert main(["coco", "--root", str(root), "--out", str(tmp_path / "out")], segmenter=Blocks()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert str(root) in error


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("refcoco", "refcoco/refs(unc).p", pickle.dumps({"a": 1}), "expected a list of references"),
        ("groundingsuite", "GroundingSuite-Eval.jsonl", b'{"idx": 1}', "line 1: the field 'segmentation' is missing"),
        ("groundingsuite", "GroundingSuite-Eval.jsonl", b"{" * 9999, "line 1 is not valid JSON"),
        ("mmr", "MMR/MMR_val.json", b"{}", "expected a list of images"),
        ("mmr", "MMR/MMR_val.json", b'[{"questions": ["a"], "answers": []}]', "'answers' has 0 entries for 1"),
        ("reasonseg", "val/x.json", b'{"text": []}', "x.json: the field 'text' has no question"),
        (
            "countbench",
            "countbenchqa.jsonl",
            b'{"image":"a","question":"Why?","number":1}',
            "does not start with 'How many'",
        ),
        ("countbench", "countbenchqa.jsonl", b'{"image":"a","question":"How many a?","number":true}', "has type bool"),
        ("omnilabel", "dataset_all_val.json", b'{"images": [], "descriptions": []}', "'annotations' is missing"),
        (
            "omnilabel",
            "dataset_all_val.json",
            b'{"annotations":[],"descriptions":[{"id":1,"text":"a","image_ids":[[]],"anno_info":{"type":"c"}}]}',
            "description 1: the field 'image_ids' contains something other than integers",
        ),
        (
            "rf100vl",
            "set/test/_annotations.coco.json",
            b'{"categories":[{"id":1,"name":[],"supercategory":[]}],"images":[],"annotations":[]}',
            "category 1: the field 'name' is a list",
        ),
    ],
)
def test_invalid_files_of_other_benchmarks_are_reported(tmp_path, name, file, content, message, capsys):
    root = tmp_path / "root"
    (root / file).parent.mkdir(parents=True)
    (root / file).write_bytes(content)
    write_json(root / "refcoco/instances.json", json.loads("{}"))
    assert main([name, "--root", str(root), "--out", str(tmp_path / "out")], segmenter=Blocks()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(root) in error
