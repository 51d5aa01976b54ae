"""Miniatures of the question benchmarks in their official layouts, answered by the rules backend."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.evals.block_images import Blocks, annotation, draw, figures, image, polygon_of, rle_of, run, write_json, xywh

A, B, C = (8, 8, 24, 24), (32, 8, 48, 24), (8, 32, 24, 40)
TRAIN2014 = "images/mscoco/images/train2014"


def reasonseg_json(text: str, shapes: list[dict], sentence: bool = False) -> str:
    return json.dumps(
        {"text": [text, "another wording"], "is_sentence": sentence, "shapes": shapes}, ensure_ascii=False
    )


def inclusive(box: tuple[int, int, int, int]) -> list[list[float]]:
    """Corners of a polygon whose drawn outline stays inside the box."""
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1 - 0.5, y0], [x1 - 0.5, y1 - 0.5], [x0, y1 - 0.5]]


def test_reasonseg_draws_small_polygons_last_and_skips_ignored_pixels(tmp_path):
    folder = tmp_path / "rs/val"
    draw(folder / "one.jpg", ("red", A))
    draw(folder / "two.jpg", ("blue", A))
    hidden = {"label": "Ignore this", "points": inclusive((16, 8, 24, 24))}
    flag = {"label": "flag", "points": inclusive((0, 0, 60, 40))}
    shapes = [hidden, {"label": "target", "points": inclusive(A)}, flag]
    (folder / "one.json").write_bytes(reasonseg_json("the red “block”", shapes, True).encode("cp1252"))
    wide = {"label": "target", "points": inclusive((8, 8, 40, 24))}
    (folder / "two.json").write_text(reasonseg_json("the blue block", [wide]), encoding="utf-8")
    got = figures("reasonseg", tmp_path / "rs")
    # one: half of the block (8x16) is target and predicted, the other half is ignored. two: 256 of 512 pixels.
    assert got["gIoU"] == pytest.approx(75, abs=1e-3)
    assert got["cIoU"] == pytest.approx(100 * (128 + 256) / (128 + 512), abs=1e-3)
    assert got["gIoU long"] == pytest.approx(100, abs=1e-3)
    assert got["gIoU short"] == pytest.approx(50, abs=1e-3)


def refs(*entries: tuple[int, object, str, list[str]]) -> list[dict]:
    """References (image, annotation ids, split, sentences), with numpy scalars as in the official pickles."""
    return [
        {
            "ref_id": np.int64(number),
            "ann_id": annotations,
            "image_id": image_id,
            "split": split,
            "file_name": "unused",
            "sentences": [
                {"sent_id": 10 * number + i, "sent": text, "tokens": text.split(), "raw": text}
                for i, text in enumerate(texts)
            ],
        }
        for number, (image_id, annotations, split, texts) in enumerate(entries)
    ]


def coco_root(root: Path, folder: str) -> None:
    """An image of COCO train2014 and `instances.json`: red blocks A and C and blue block B in image 581857."""
    name = "COCO_train2014_000000581857.jpg"
    draw(root / TRAIN2014 / name, ("red", A), ("blue", B), ("red", C))
    rows = [
        annotation(11, 581857, 1, A, [polygon_of(A)]),
        annotation(12, 581857, 1, B, [polygon_of(B)]),
        annotation(13, 581857, 1, C, [polygon_of(C)]),
    ]
    categories = [{"id": 1, "name": "block"}]
    write_json(
        root / folder / "instances.json",
        {"images": [image(581857, name)], "annotations": rows, "categories": categories},
    )


@pytest.mark.parametrize(("name", "partition", "protocol"), [("refcoco", "unc", 0), ("refcocog", "umd", 4)])
def test_refcoco_asks_every_sentence_and_encodes_an_image_once(tmp_path, name, partition, protocol):
    root = tmp_path / "refer"
    coco_root(root, name)
    entries = refs(
        (581857, 12, "val", ["the blue block", "topmost red block"]),
        (581857, 11, "train", ["never asked"]),
        (581857, 13, "val", ["bottommost red block"]),
    )
    (root / name / f"refs({partition}).p").write_bytes(pickle.dumps(entries, protocol))
    segmenter = Blocks()
    got = figures(name, root, segmenter=segmenter)
    # correct: blue (256 px) and bottommost (128 px); wrong: a red block instead of B
    assert got["questions"] == 3
    assert got["gIoU"] == pytest.approx(100 * 2 / 3)
    assert got["Pr@0.5"] == pytest.approx(100 * 2 / 3)
    assert got["cIoU"] == pytest.approx(100 * (256 + 128) / (256 + 128 + 256 + 256))
    assert segmenter.opened == 1


@pytest.mark.parametrize("form", ["json", "p"])
def test_grefcoco_supports_no_and_several_targets(tmp_path, form):
    root = tmp_path / "refer"
    coco_root(root, "grefcoco")
    entries = refs(
        (581857, [11, 13], "testA", ["all red blocks"]),
        (581857, [-1], "testA", ["the green block"]),
        (581857, [-1], "testA", ["the blue block"]),
        (581857, [12], "testA", ["the yellow block"]),
    )
    file = root / f"grefcoco/grefs(unc).{form}"
    plain = [{**entry, "ref_id": int(entry["ref_id"])} for entry in entries]
    file.write_bytes(pickle.dumps(entries) if form == "p" else json.dumps(plain).encode())
    got = figures("grefcoco", root, "--split", "testA")
    assert got["gIoU"] == pytest.approx(50)  # red 1, green 1 (no target), blue 0 (no target), yellow 0 (missed)
    assert got["cIoU"] == pytest.approx(100 * 384 / (384 + 256 + 256))
    assert got["N_acc"] == pytest.approx(50)
    assert got["T_acc"] == pytest.approx(50)
    assert got["Pr@0.9"] == pytest.approx(50)


def test_omnilabel_ranks_the_descriptions_of_a_group_together(tmp_path):
    root = tmp_path / "ol"
    draw(root / "images/coco/1.jpg", ("red", A), ("blue", B))
    texts = ["red", "green", "the blue block", "the red block", "all of the green blocks"]
    kinds = ["category", "category", *["object_description"] * 3]
    descriptions = [
        {"id": i, "text": text, "image_ids": [5], "anno_info": {"type": kind}}
        for i, (text, kind) in enumerate(zip(texts, kinds, strict=True))
    ]
    boxes = [
        {"id": 1, "image_id": 5, "bbox": xywh(A), "description_ids": [0]},
        {"id": 2, "image_id": 5, "bbox": xywh(B), "description_ids": [2]},
        {"id": 3, "image_id": 5, "bbox": xywh(C), "description_ids": [4]},
    ]
    content = {"images": [{"id": 5, "file_name": "coco/1.jpg"}], "descriptions": descriptions, "annotations": boxes}
    write_json(root / "dataset_all_val_v0.1.4.json", content)
    got = figures("omnilabel", root)
    assert got["AP-categ"] == pytest.approx(100)
    # descriptions: blue correct, then a false red; 1 of 2 boxes found: precision 1 at 51 of 101 recall points
    assert got["AP-descr"] == pytest.approx(100 * 51 / 101, abs=0.01)
    assert got["AP-descr-S"] == pytest.approx(100)
    assert got["AP-descr-M"] == 0
    descriptions = 51 / 101
    assert got["AP"] == pytest.approx(100 * 2 * descriptions / (1 + descriptions), abs=0.01)


def test_groundingsuite_scores_masks_and_boxes(tmp_path):
    root = tmp_path / "gs"
    draw(root / "unlabeled2017/000000000001.jpg", ("red", A), ("blue", B))
    half = (32, 8, 40, 24)
    rows = [
        {"idx": 1, "caption": "the red block", "class_id": 0, "box": list(A), "segmentation": rle_of(A)},
        {"idx": 2, "caption": "the blue block", "class_id": 1, "box": list(half), "segmentation": [rle_of(half)]},
    ]
    lines = [json.dumps({"image_path": "000000000001.jpg", "label": "block", **row}) for row in rows]
    (root / "GroundingSuite-Eval.jsonl").write_text("\n".join(lines) + "\n")
    got = figures("groundingsuite", root)
    assert got["gIoU"] == pytest.approx(75)
    assert got["box Acc@0.5"] == 50  # an IoU of exactly 0.5 does not count
    assert got["gIoU class 1"] == pytest.approx(50)


def test_mmr_assigns_masks_to_targets(tmp_path):
    root = tmp_path / "mmr"
    draw(root / "coco/val2017/1.jpg", ("red", A), ("red", B), ("blue", C))
    half = (32, 8, 40, 24)
    row = {
        "file_name": "val2017/1.jpg",
        "height": 48,
        "width": 64,
        "questions": ["all red blocks", "the blue block"],
        "answers": [[{"segmentation": rle_of(half)}, {"segmentation": rle_of(A)}], [{"segmentation": [rle_of(C)]}]],
        "text_answers": ["{seg} and {seg}", "{seg}"],
        "annotations": [],
    }
    write_json(root / "MMR/MMR_val.json", [row])
    got = figures("mmr", root)
    assert got["gIoU"] == pytest.approx(100 * (0.5 + 1 + 1) / 3, abs=1e-3)
    assert got["cIoU"] == pytest.approx(100 * (128 + 256 + 128) / (256 + 256 + 128), abs=1e-3)
    assert got["union gIoU"] == pytest.approx(100 * (384 / 512 + 1) / 2, abs=1e-3)


@pytest.mark.parametrize("flags", [(), ("--keep-images",), ("--keep-pictures",)])
def test_every_answer_has_a_trace(tmp_path, flags):
    root = tmp_path / "gs"
    draw(root / "1.jpg", ("red", A))
    row = {"idx": "7/a", "image_path": "1.jpg", "caption": "the red block", "class_id": 0, "box": list(A)}
    (root / "GroundingSuite-Eval.jsonl").write_text(json.dumps({**row, "segmentation": rle_of(A)}))
    run("groundingsuite", root, *flags)
    (out,) = tmp_path.glob("out-groundingsuite*")
    prediction = json.loads((out / "predictions.jsonl").read_text())
    trace = [json.loads(line) for line in (out / prediction["trace"] / "trace.jsonl").read_text().splitlines()]
    assert trace[0]["event"] == "start"
    assert trace[-1]["event"] == "end"
    assert prediction["status"] == "answered"
    assert (out / prediction["trace"] / "overlay.png").exists() == bool(flags)
