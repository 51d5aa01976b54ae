import math
import pickle

import numpy as np
import pytest

from sam3model.errors import MetricError
from sam3model.metrics.count_accuracy import Counting
from sam3model.metrics.omnilabel_ap import OmniLabelAp, evaluate_omnilabel, omnilabel_shard
from sam3model.metrics.overlap import as_rle, rle_areas
from sam3model.metrics.referring_video import ReferringVideo, union_track

A, B = [0, 0, 10, 10], [50, 50, 10, 10]
TRUTH = {
    "images": [{"id": 1}, {"id": 2}],
    "descriptions": [
        {"id": 10, "text": "dog", "image_ids": [1, 2], "anno_info": {"type": "object_category"}},
        {
            "id": 20,
            "text": "the dog left of the tree",
            "image_ids": [1, 2],
            "anno_info": {"type": "object_description"},
        },
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "bbox": A, "description_ids": [10, 20]},
        {"id": 2, "image_id": 1, "bbox": B, "description_ids": [10]},
    ],
}


def found(image, box, ids, scores):
    return {"image_id": image, "bbox": box, "description_ids": ids, "scores": scores}


PREDICTIONS = [found(1, A, [10, 20], [0.9, 0.8]), found(1, B, [10], [0.7]), found(2, A, [20], [0.95])]


def test_omnilabel_groups_and_harmonic_mean():
    result = evaluate_omnilabel(TRUTH, PREDICTIONS)
    descr = 0.5  # the false positive in the second image ranks first
    assert result.groups["categ"] == pytest.approx(1)
    assert result.groups["descr"] == result.groups["descr-M"] == pytest.approx(descr)
    assert result.groups["descr-Pos"] == pytest.approx(1)  # negative descriptions left out
    assert result.groups["descr-S"] == result.groups["descr-L"] == -1
    assert result.ap == pytest.approx(2 * descr / (1 + descr + 1e-5))
    assert "AP-descr-Pos" in result.table()


def test_omnilabel_ap_is_undefined_without_categories():
    truth = {**TRUTH, "descriptions": TRUTH["descriptions"][1:]}
    assert evaluate_omnilabel(truth, PREDICTIONS).ap == -1


def test_omnilabel_shards_merge_and_invalid_entries_are_reported():
    whole, parts = omnilabel_shard(TRUTH, PREDICTIONS), [OmniLabelAp(), OmniLabelAp()]
    for i, (key, sample) in enumerate(whole.samples.items()):
        parts[i % 2].add(key, sample)
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0].compute() == whole.compute()
    with pytest.raises(MetricError, match="image 1: 2 descriptions, 1 scores"):
        evaluate_omnilabel(TRUTH, [found(1, A, [10, 20], [0.9])])
    with pytest.raises(MetricError, match="kind 'X'"):
        OmniLabelAp().update(1, 1, "dog", "X", [], [], [])


def test_counting():
    metric = Counting()
    for key, (predicted, target) in enumerate([(2, 2), (0, 3), (5, 4)]):
        metric.update(key, predicted, target)
    result = metric.compute()
    assert (result.accuracy, result.mae) == pytest.approx((1 / 3, 4 / 3))
    assert result.rmse == pytest.approx(math.sqrt(10 / 3))
    with pytest.raises(MetricError, match="cannot be negative"):
        metric.update("x", -1, 0)


LEFT = as_rle(np.repeat([[1, 1, 0, 0]], 4, 0))
TOP = as_rle(np.repeat([[1, 1, 0, 0]], 4, 0).T)
ALL = as_rle(np.ones((4, 4)))


def test_referring_video_scores_all_frames_and_missing_predictions():
    metric = ReferringVideo()
    metric.update("v/0", [LEFT, None], [LEFT, None], [ALL, ALL], "referring")
    metric.update("v/1", [LEFT, LEFT], [TOP, LEFT], [ALL, ALL], "reason")
    metric.update("w/0", [LEFT], None, [ALL], "reason")
    result = metric.compute()
    assert result.groups["referring"] == {"J&F": 100, "J": 100, "F": 100, "A": 100, "R": pytest.approx(100)}
    reason = result.groups["reason"]
    assert reason["J"] == pytest.approx(100 * (1 / 3 + 1) / 2 / 2)
    assert reason["A"] == pytest.approx(100 * (0.5 + 1) / 2 / 2)
    assert reason["R"] == pytest.approx(100 * (0.75 + 1) / 2 / 2, abs=1e-4)
    assert result.overall["J"] == pytest.approx((100 + reason["J"]) / 2)
    assert result.summary()["reason J"] == reason["J"]


def test_robustness_is_undefined_without_foreground():
    metric = ReferringVideo()
    metric.update("v/0", [LEFT], [LEFT])
    assert math.isnan(metric.compute().overall["R"])
    with pytest.raises(MetricError, match="1 frames of ground truth but 2 of foreground"):
        metric.update("v/1", [LEFT], [LEFT], [ALL, ALL])


def test_union_of_objects():
    joined = union_track([[LEFT, None], [TOP, None]])
    assert rle_areas([joined[0]]).tolist() == [12]
    assert joined[1] is None
