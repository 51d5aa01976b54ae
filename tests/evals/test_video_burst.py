"""BURST: detections that the annotations cannot prove wrong are not counted."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest

from .video_datasets import error_of, figures, rle, square, write_json

A, B, C = (rle(square(1, 1 + 5 * k))["counts"] for k in range(3))
FRAMES = [f"frame{t:04d}.jpg" for t in range(1, 6)]
COMMON, OTHER, ELSEWHERE, DISTRACTOR = 4, 7, 9, 20


def sequence(name: str, classes: dict[str, int], frames: list[dict[str, str]], **lists: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "dataset": "LaSOT",
        "seq_name": name,
        "height": 12,
        "width": 16,
        "fps": 1,
        "annotated_image_paths": FRAMES[: len(frames)],
        "all_image_paths": FRAMES,
        "neg_category_ids": [],
        "not_exhaustive_category_ids": [],
        "track_category_ids": classes,
        "segmentations": [{t: {"rle": code, "is_gt": True} for t, code in masks.items()} for masks in frames],
        **lists,
    }


def truth() -> dict[str, Any]:
    first = sequence(
        "one",
        {"1": COMMON, "2": OTHER, "3": DISTRACTOR},
        [{"1": A, "3": C}, {"1": A}, {"1": A}, {"2": B}, {}],
        not_exhaustive_category_ids=[OTHER],
    )
    second = sequence("two", {"1": OTHER}, [{"1": B}], neg_category_ids=[COMMON])
    return {"sequences": [first, second], "categories": [], "split": "test"}


def predictions() -> dict[str, Any]:
    first = sequence(
        "one",
        {"10": COMMON, "11": OTHER, "12": OTHER, "13": ELSEWHERE},
        # the common object is missed in frame 3 and hallucinated in frames 4 and 5
        [{"10": A, "13": C}, {"10": A}, {}, {"10": A, "11": B, "12": C}, {"10": A}],
    )
    second = sequence("two", {"10": OTHER, "11": COMMON}, [{"10": B, "11": A}])
    # more frames than annotated, in another order
    second["annotated_image_paths"] = [FRAMES[3], FRAMES[0]]
    second["segmentations"] = [{"11": {"rle": C}}, second["segmentations"][0]]
    return {"sequences": [second, first], "split": "test"}


def write(root: Path, found: dict[str, Any]) -> tuple[Path, Path]:
    write_json(root / "test/all_classes.json", truth())
    return root, write_json(root / "predictions.json", found)


def test_hota_per_class(tmp_path):
    found = figures("burst", *write(tmp_path, predictions()))
    # common: TP 2, FN 1 and, in sequence two where it is known to be absent, FP 1; track overlap 2 of 3
    common = 100 * math.sqrt(2 / 4 * 2 / 3)
    assert found["HOTA common"] == pytest.approx(common)
    assert found["HOTA uncommon"] == pytest.approx(100)
    assert found["HOTA"] == pytest.approx((common + 100) / 2)
    assert found["AssA common"] == pytest.approx(200 / 3)


def test_only_the_best_300_detections_per_frame_count(tmp_path):
    crowd = predictions()
    second = crowd["sequences"][0]
    for k in range(300):
        second["segmentations"][1][f"{100 + k}"] = {"rle": C, "score": 0.5}
        second["track_category_ids"][f"{100 + k}"] = COMMON
    second["segmentations"][1]["10"]["score"] = 0.1
    assert figures("burst", *write(tmp_path, crowd))["HOTA uncommon"] < 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(), "sequence LaSOT/one is missing"),
        (lambda s: s[1]["segmentations"].pop(), "'segmentations' has 4 items for 5 frames"),
        (
            lambda s: s[1]["segmentations"][0]["10"].update(rle="1"),
            "frame frame0001.jpg, track 10: RLE 'counts' do not",
        ),
        (
            lambda s: s[1].update(annotated_image_paths=[{}] * 5),
            "'annotated_image_paths' is not a list of unique names",
        ),
        (lambda s: s[1]["segmentations"][0]["10"].pop("rle"), "'rle' is missing"),
        (lambda s: s[1]["track_category_ids"].pop("10"), "track_category_ids: the field '10' is missing"),
    ],
)
def test_an_invalid_prediction_is_reported(tmp_path, capsys, change, message):
    found = copy.deepcopy(predictions())
    change(found["sequences"])
    assert message in error_of(capsys, "burst", *write(tmp_path, found))
