import json
import pickle

import pytest

from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1, evaluate_cgf1
from sam3model.metrics.cgf1 import concept_f1_shard
from tests.metrics.conftest import GOLDENS, close, golden

EDGE = golden("metrics_image_edge.json")["cases"]


def check(result, expected):
    close(result.summary(), expected["summary"])
    close(result.per_threshold, expected["per_threshold"])
    close(result.image_level, expected["image_level"])
    assert dict(result.image_level_counts) == expected["image_level_counts"]
    assert result.samples == expected["n_images"]


def check_per_image(metric, expected):
    assert {str(k) for k in metric.samples} == set(expected)
    for key, counts in metric.samples.items():
        if expected[str(key)] == "true_negative":
            assert counts.is_true_negative
            continue
        tp = counts.true_positives
        found = {"TPs": tp, "FPs": counts.detections - tp, "FNs": counts.targets - tp}
        assert {k: v.tolist() for k, v in found.items()} == expected[str(key)]


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("order", ["a", "ab", "abc", "cba"])
def test_reference_set(kind, order):
    expected = golden("metrics_image_expected.json")[f"{kind}_{order}"]
    files = [GOLDENS / f"metrics_image_gt_{name}.json" for name in order]
    metric = concept_f1_shard(files, GOLDENS / "metrics_image_pred.json", kind)
    check(metric.compute(), expected)
    if "per_image" in expected:
        check_per_image(metric, expected["per_image"])


@pytest.mark.parametrize("kind", ["segm", "bbox"])
@pytest.mark.parametrize("case", EDGE, ids=lambda c: c["name"])
def test_edge(case, kind):
    expected = case["expected"][kind]
    if "raises" in expected:
        with pytest.raises(MetricError, match="no samples to evaluate"):
            evaluate_cgf1(case["gts"], case["pred"], kind)
        return
    metric = concept_f1_shard(case["gts"], case["pred"], kind)
    check(metric.compute(), expected)
    check_per_image(metric, expected["per_image"])


def test_crowd_protection_is_optional():
    case = next(c for c in EDGE if c["name"] == "crowd_is_dropped")
    official = evaluate_cgf1(case["gts"], case["pred"]).image_level_counts
    protected = evaluate_cgf1(case["gts"], case["pred"], protect_crowds=True).image_level_counts
    assert (official["IL_FP"], official["IL_TN"]) == (1, 1)
    assert (protected["IL_FP"], protected["IL_TN"]) == (0, 2)


def test_merged_shards_equal_the_whole():
    whole = concept_f1_shard(golden("metrics_image_gt_a.json"), golden("metrics_image_pred.json"))
    left, right = ConceptF1(), ConceptF1()
    for i, (key, counts) in enumerate(whole.samples.items()):
        (left if i % 3 else right).samples[key] = counts
    joined = pickle.loads(pickle.dumps(left))
    joined.merge(pickle.loads(pickle.dumps(right)))
    assert joined.compute().summary() == pytest.approx(whole.compute().summary(), abs=1e-12)
    with pytest.raises(MetricError, match="in both shards"):
        joined.merge(right)
    with pytest.raises(MetricError, match="same settings"):
        joined.merge(ConceptF1("bbox"))


def test_result_has_a_table_and_json():
    result = evaluate_cgf1(EDGE[0]["gts"], EDGE[0]["pred"])
    assert "cgF1@0.75" in result.table()
    loaded = json.loads(result.to_json())
    assert loaded["samples"] == 2
    assert loaded["per_threshold"]["positive_macro_F1"] == [None] * 10


@pytest.mark.parametrize(
    ("ground_truth", "predictions", "message"),
    [
        ([], [], "expected a JSON object"),
        ({"images": []}, [], "'annotations' is missing"),
        ({"images": [], "annotations": [{"id": 3}], "categories": []}, [], "annotation 3 has no 'image_id'"),
        ("/nowhere/gt.json", [], "there is no file /nowhere/gt.json"),
    ],
)
def test_invalid_files_are_reported(ground_truth, predictions, message):
    with pytest.raises(MetricError, match=message):
        evaluate_cgf1([ground_truth], predictions)


def test_invalid_arguments_are_refused():
    metric = ConceptF1("bbox")
    metric.update(1, [], [], [])
    with pytest.raises(MetricError, match="added twice"):
        metric.update(1, [], [], [])
    with pytest.raises(MetricError, match="1 detections but 0 scores"):
        metric.update(2, [], [[0, 0, 1, 1]], [])
    with pytest.raises(MetricError, match="iou_type"):
        ConceptF1("mask")
