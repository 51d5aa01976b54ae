import copy
import pickle

import numpy as np
import pytest

from sam3model.errors import MetricError
from sam3model.metrics.average_precision import AveragePrecision
from sam3model.metrics.veval import evaluate_saco_veval
from sam3model.metrics.video_cgf1 import evaluate_video_cgf1, phrase_table, video_concept_f1
from sam3model.metrics.video_hota import evaluate_hota
from sam3model.metrics.video_teta import evaluate_teta
from sam3model.metrics.video_tracks import load_videos
from sam3model.metrics.ytvis import ap_over, evaluate_ytvis, ytvis_shard
from sam3model.ops.masks import encode_rle
from tests.metrics.conftest import close, golden

TRUTH, FOUND = golden("metrics_video_gt.json"), golden("metrics_video_pred.json")
EXPECTED = golden("metrics_video_expected.json")
EDGE = golden("metrics_video_edge.json")["cases"]
KINDS = pytest.mark.parametrize("kind", ["segm", "bbox"])
CASES = pytest.mark.parametrize("case", EDGE, ids=lambda c: c["name"])
OFFICIAL = {"segm": "mask", "bbox": "bbox"}
TOLERANCE = {"segm": 1e-9, "bbox": 1e-6}
PREFIX = {"cgf1_micro": "cgF1", "positive_micro_f1": "positive_micro_F1"}


def check_cgf1(result, expected, kind):
    summary = result.summary()
    for short, name in PREFIX.items():
        for suffix, ours in (("50_95", ""), ("50", "@0.5"), ("75", "@0.75")):
            official = expected[f"video_{OFFICIAL[kind]}_demo_{short}_{suffix}"]
            close(summary[name + ours], official, TOLERANCE[kind])
    close(result.il_mcc, expected[f"video_{OFFICIAL[kind]}_demo_ilmcc_50_95"])


def check_rows(samples, expected, kind):
    mine = {(r["video_id"], r["category_id"]): r for r in phrase_table(samples)}
    assert len(mine) == len(expected)
    for row in expected:
        ours = mine[row["video_id"], row["category_id"]]
        prefix = OFFICIAL[kind] + "_"
        close(ours, {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)})


@KINDS
@pytest.mark.parametrize(
    ("name", "threshold"), [("video_cgf1", 0.5), ("video_cgf1_thr_0.3", 0.3), ("video_cgf1_without_np_pairs", 0.5)]
)
def test_cgf1_reference_set(name, threshold, kind):
    truth = {k: v for k, v in TRUTH.items() if k != "video_np_pairs" or "without" not in name}
    metric, expected = video_concept_f1(load_videos(truth, FOUND), kind, threshold), EXPECTED[name]
    result = metric.compute()
    if expected["results"]:
        check_cgf1(result, expected["results"], kind)
    detail = expected["detail_" + kind]
    close(result.per_threshold, {k: v for k, v in detail.items() if isinstance(v, list)})
    close(result.image_level, {k: v for k, v in detail.items() if k.startswith("IL_")})
    assert dict(result.image_level_counts) == detail["counts"]
    check_rows(metric.samples, expected["video_np_results"], kind)


@KINDS
@CASES
def test_cgf1_edge(case, kind):
    expected = case["expected"]["video_cgf1"]
    result = evaluate_video_cgf1(case["gt"], case["pred"], kind)
    if "raises" in expected:  # the official reader fails on an empty list; our cgF1 is 0
        assert result.cgf1 == 0
    else:
        check_cgf1(result, expected["results"], kind)


@KINDS
@pytest.mark.parametrize(("name", "by_phrase"), [("ytvis_ap_classes", False), ("ytvis_ap_phrase", True)])
def test_ap_reference_set(name, by_phrase, kind):
    result = evaluate_ytvis(TRUTH, FOUND, kind, by_phrase)
    close(result.summary(), EXPECTED[name]["stats"][kind], TOLERANCE[kind])


@KINDS
@CASES
def test_ap_edge(case, kind):
    for name, by_phrase in (("class_ap", False), ("phrase_ap", True)):
        result = evaluate_ytvis(case["gt"], case["pred"], kind, by_phrase)
        if "raises" in case["expected"][name]:
            assert result.ap == 0
        else:
            close(result.summary(), case["expected"][name]["stats"][kind], TOLERANCE[kind])


def test_shards_of_videos_merge():
    data = load_videos(TRUTH, FOUND)
    whole, parts = ytvis_shard(data), [AveragePrecision(ytvis_shard(data).rules) for _ in range(2)]
    for i, (key, sample) in enumerate(whole.samples.items()):
        parts[i % 2].add(key, sample)
    parts[1].merge(pickle.loads(pickle.dumps(parts[0])))
    assert parts[1].compute() == whole.compute()


def test_ap_over_some_categories():
    result = evaluate_ytvis(TRUTH, FOUND)
    assert ap_over(result, result.per_category) == pytest.approx(result.ap)
    assert ap_over(result, [99]) == -1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"video_id": 99, "category_id": 1}, "video 99 and category 1"),
        ({"video_id": 5, "category_id": 3, "segmentations": [], "bboxes": []}, "has no 'score'"),
        (
            {"video_id": 5, "category_id": 3, "score": 1, "segmentations": [None]},
            "segmentations has 1 items for 12 frames",
        ),
    ],
)
def test_invalid_predictions_are_reported(entry, message):
    with pytest.raises(MetricError, match=message):
        evaluate_video_cgf1(TRUTH, [entry])


EVERY = (evaluate_video_cgf1, evaluate_ytvis, evaluate_hota, evaluate_teta, evaluate_saco_veval)


def one_clip(side=4):
    """Ground truth and predictions of a clip of two frames, with a square on the first, in masks of this side."""
    mask = encode_rle(np.arange(side * side).reshape(side, side) < side)
    track = {"video_id": 1, "category_id": 1, "segmentations": [mask, None], "bboxes": [[0, 0, side, 1], None]}
    truth = {
        "videos": [{"id": 1, "length": 2}],
        "categories": [{"id": 1, "name": "ball"}],
        "annotations": [{"id": 1, "areas": [side, None]} | track],
        "video_np_pairs": [{"video_id": 1, "category_id": 1}],
    }
    return truth, [track | {"score": 0.9}]


@pytest.mark.parametrize("evaluate", EVERY)
def test_masks_of_another_size_are_refused(evaluate):
    (truth, found), (_, large) = one_clip(), one_clip(8)
    evaluate(truth, found)
    with pytest.raises(MetricError, match=r"masks of size \[4, 4\] and \[8, 8\] cannot be compared"):
        evaluate(truth, large)


def test_lists_of_runs_are_read():
    (truth, found), runs = one_clip(), {"size": [4, 4], "counts": [0, 1, 3, 1, 3, 1, 3, 1, 3]}
    truth["annotations"][0]["segmentations"] = [runs, None]
    assert evaluate_ytvis(truth, found).ap == pytest.approx(1)


def test_crowds_are_no_targets_of_cgf1():
    box = [[0, 0, 4, 4]]
    targets = [{"video_id": 1, "category_id": 1, "bboxes": box, "areas": [16], "iscrowd": crowd} for crowd in (0, 1)]
    truth = {"videos": [{"id": 1, "length": 1}], "categories": [{"id": 1}], "annotations": targets}
    found = [{"video_id": 1, "category_id": 1, "bboxes": box, "score": 0.9}]
    assert evaluate_video_cgf1(truth, found, "bbox").per_threshold["FNs"] == (0,) * 10


@pytest.mark.parametrize("evaluate", EVERY)
def test_pairs_of_videos_that_were_cut_out_are_left_out(evaluate, caplog):
    truth, found = map(copy.deepcopy, one_clip())
    whole = evaluate(truth, found)
    truth["video_np_pairs"] += [{"video_id": 7, "category_id": 1}, {"video_id": 1, "category_id": 9}]
    assert str(evaluate(truth, found)) == str(whole)
    assert "video_np_pairs[1] has video 7, which is not in the ground truth: it and 1 others" in caplog.text


@pytest.mark.parametrize("evaluate", EVERY)
@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("videos", 0, "id"), None, r"videos\[0\] has no 'id'"),
        (("videos", 0), 3, r"videos\[0\] is no object"),
        (("videos", 0, "length"), "two", "length is 'two', not a number of frames"),
        (("categories", 0, "id"), None, r"categories\[0\] has no 'id'"),
        (("annotations", 0), 3, r"annotations\[0\] is no object"),
        (("annotations", 0, "video_id"), [1], "annotation 1: video_id is a list"),
        (("annotations", 0, "segmentations"), None, "segmentations is a NoneType, not a list"),
        (("annotations", 0, "segmentations", 0), [[0, 0, 1, 1, 2, 0]], "a mask must be COCO RLE, or null"),
        (("annotations", 0, "bboxes", 0), [1, 2, 3], "a box must be four numbers"),
        (("annotations", 0, "bboxes", 0), 5, "a box must be four numbers"),
        (("video_np_pairs", 0), {}, r"video_np_pairs\[0\] has no 'video_id'"),
    ],
)
def test_bad_ground_truth_is_named(evaluate, path, value, says):
    truth, found = map(copy.deepcopy, one_clip())
    place = truth
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(MetricError, match=says):
        evaluate(truth, found)
