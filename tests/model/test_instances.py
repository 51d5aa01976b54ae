"""What a predictor found: selecting from it, and its conversions to COCO and supervision."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam3model.errors import InputError
from sam3model.instances import Instances, no_instances
from sam3model.ops.masks import decode_rle
from tests.model.small_predictor import ALL, PHRASES, encoded, photo, predictor, same


def test_instances_are_selected_by_index_list_mask_or_slice() -> None:
    every = predictor().predict_prompt(encoded(), phrase="a tower", threshold=ALL)
    assert same(every[2], every[[2]]) and same(every[2], every[2:3]) and len(every[2]) == 1
    assert len(every[[]]) == 0 and every[[]].size == every.size
    assert [len(one) for one in every[:3]] == [1, 1, 1], "iteration gives single instances"


def test_an_empty_prediction_has_the_same_shapes() -> None:
    width, height = photo().size
    for empty in (*predictor().predict(encoded(), PHRASES[:2], threshold=1.0), no_instances((width, height))):
        assert len(empty) == 0 and empty.size == (width, height)
        assert empty.masks.shape == (0, height, width) and empty.masks.dtype == bool
        assert empty.boxes.shape == (0, 4) and empty.boxes.dtype == empty.scores.dtype == np.float32
        assert empty.to_coco_rle() == empty.to_coco_results(1, 1) == []
    some, none = predictor().predict(encoded(), ["a tower", "red ball"], threshold=0.3141)
    assert min(len(some), len(none)) == 0 < max(len(some), len(none)), "exactly one of the phrases must match"
    assert predictor().predict(encoded(), []) == []


def test_masks_as_coco_results() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    rows = found.to_coco_results(image_id=7, category_id=3)
    assert json.loads(json.dumps(rows)) == rows and len(rows) == len(found) > 0
    for row, mask, box, score in zip(rows, found.masks, found.boxes, found.scores, strict=True):
        assert (row["image_id"], row["category_id"]) == (7, 3) and row["score"] == pytest.approx(score)
        x0, y0, x1, y1 = box
        assert row["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0])
        assert np.array_equal(decode_rle(row["segmentation"]), mask)


def test_conversion_to_supervision() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    pytest.importorskip("supervision", exc_type=ImportError)
    for one in (found, replace(found, phrase=None), found[:0]):
        detections = one.to_supervision(class_id=4)
        assert len(detections) == len(one) and np.array_equal(detections.xyxy, one.boxes)
        assert np.array_equal(detections.mask, one.masks) and np.array_equal(detections.confidence, one.scores)
        assert set(detections.class_id) <= {4} and set(detections.data["class_name"]) <= {one.phrase or "object"}


class FakeDetections:
    """The fields of `supervision.Detections`, for environments without it."""

    def __init__(self, **fields: Any) -> None:
        self.mask = self.confidence = self.tracker_id = None
        self.data: dict[str, Any] = {}
        vars(self).update(fields)

    def __len__(self) -> int:
        return len(self.xyxy)


@pytest.fixture(params=["real", "fake"])
def detections_class(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "real":
        return pytest.importorskip("supervision", exc_type=ImportError).Detections
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=FakeDetections))
    return FakeDetections


def test_round_trip_through_supervision(detections_class: Any) -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    tracked = replace(found, ids=np.arange(len(found))[::-1] + 5)
    assert len(tracked) > 1
    for one in (found, tracked, tracked[1:], tracked[:0]):
        detections = one.to_supervision()
        assert isinstance(detections, detections_class)
        assert (detections.tracker_id is None) == (one.ids is None)
        back = Instances.from_supervision(detections)
        for name in ("masks", "boxes", "scores", "ids"):
            ours, theirs = getattr(one, name), getattr(back, name)
            assert ours is theirs is None or (ours.dtype == theirs.dtype and np.array_equal(ours, theirs)), name
        assert back.phrase == (one.phrase if len(one) else None)


def test_detections_of_other_models(detections_class: Any) -> None:
    boxes, masks = np.array([[0, 0, 2, 2], [1, 1, 3, 3]], dtype=float), np.ones((2, 4, 5), dtype=bool)
    names = {"class_name": np.array(["cat", "dog"])}
    found = Instances.from_supervision(detections_class(xyxy=boxes, mask=masks, data=names))
    assert found.phrase is None and found.ids is None and found.scores.tolist() == [1, 1] and found.size == (5, 4)
    with pytest.raises(InputError, match="have no masks"):
        Instances.from_supervision(detections_class(xyxy=boxes))
    empty = detections_class(xyxy=boxes[:0])
    assert Instances.from_supervision(empty, size=(7, 3)).masks.shape == (0, 3, 7)
    with pytest.raises(InputError, match="have no masks"):
        Instances.from_supervision(empty)


def test_a_selection_keeps_ids_and_phrase() -> None:
    found = predictor().predict_prompt(encoded(), phrase="a tower", threshold=0.3)
    tracked = replace(found, ids=np.arange(10, 10 + len(found)))
    assert tracked[[1, 0]].ids.tolist() == [11, 10] and tracked[[]].ids.tolist() == [] and found[0].ids is None


def test_missing_supervision_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision") as caught:
        no_instances((4, 3)).to_supervision()
    assert "\n" not in str(caught.value)
