import pickle

import pytest

from sam3model.errors import MetricError
from sam3model.metrics.average_precision import AveragePrecision
from sam3model.metrics.coco_ap import coco_shard, evaluate_coco
from tests.metrics.conftest import close, golden

TRUTH, FOUND = golden("metrics_coco_gt.json"), golden("metrics_coco_pred.json")


@pytest.mark.parametrize("positive_split", [0, 1])
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_reference_set(kind, positive_split):
    expected = golden("metrics_coco_expected.json")[f"{kind}_positive_split_{positive_split}"]
    result = evaluate_coco(TRUTH, FOUND, kind, positive_split=bool(positive_split))
    close(result.summary(), expected["stats"])
    close({str(k): v for k, v in result.per_category.items()}, expected["ap_per_category_per_iou_all_areas_100_dets"])
    close({str(k): v for k, v in result.recall_per_category.items()}, expected["recall_per_category_per_iou"])


def test_shards_of_images_merge():
    whole = coco_shard(TRUTH, FOUND)
    left, right = AveragePrecision(), AveragePrecision()
    for i, (key, group) in enumerate(whole.samples.items()):
        (left if i % 2 else right).samples[key] = group
    left.merge(pickle.loads(pickle.dumps(right)))
    assert left.compute() == whole.compute()
    with pytest.raises(MetricError, match="in both shards"):
        left.merge(right)


def test_mask_areas_only_affect_size_ranges():
    by_box, by_mask = evaluate_coco(TRUTH, FOUND), evaluate_coco(TRUTH, FOUND, mask_areas=True)
    assert by_box.ap == by_mask.ap
    assert by_box.stats["AP_small"] != by_mask.stats["AP_small"]


def test_ap_is_zero_without_predictions_and_undefined_without_targets():
    assert evaluate_coco(TRUTH, []).ap == 0
    assert evaluate_coco({**TRUTH, "annotations": []}, FOUND).ap == -1
    assert evaluate_coco({**TRUTH, "annotations": []}, []).ap == -1


def test_a_detection_of_an_unknown_image_is_refused():
    with pytest.raises(MetricError, match=r"1 unknown images, e\.g\. 5"):
        evaluate_coco(TRUTH, [{"image_id": 5, "category_id": 1, "score": 1.0}])
