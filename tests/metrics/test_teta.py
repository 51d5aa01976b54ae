import math
import pickle

import pytest

from sam3model.metrics.teta import Teta
from sam3model.metrics.video_teta import evaluate_teta, teta_shard
from sam3model.metrics.video_tracks import load_videos
from tests.metrics.conftest import close
from tests.metrics.test_video_tracks import CASES, EXPECTED, FOUND, TRUTH

RUNS = sorted(k for k in EXPECTED if k.startswith("teta_"))


def options(name):
    return {
        "iou_type": "segm" if "mask" in name else "bbox",
        "exhaustive": "tao" not in name,
        "nms": name.partition("_nms_")[2] or "none",
        "score_threshold": 0.0 if "thr0" in name else 0.5,
        "reference_behaviour": True,
    }


def named(result, name):
    return {f"video_{'mask' if 'mask' in name else 'bbox'}_{k}": v for k, v in result.summary().items()}


@pytest.mark.parametrize("name", RUNS)
def test_reference_set(name):
    figures = named(evaluate_teta(TRUTH, FOUND, **options(name)), name)
    close(figures, EXPECTED[name]["unrounded"], 1e-6)
    close(figures, EXPECTED[name]["official_5_digits"], 6e-4)


@CASES
def test_edge(case):
    for name in ("teta_mask", "teta_mask_tao"):
        result = evaluate_teta(case["gt"], case["pred"], **options(name))
        if "raises" in case["expected"][name]:  # no prediction passes the threshold, or there is no target
            assert math.isnan(result.teta) if not case["gt"]["annotations"] else result.teta == 0
        else:
            close(named(result, name), case["expected"][name], 1e-6)


def entry(category, x, **more):
    boxes = [[float(x), 0.0, 4.0, 4.0]] * 2
    return {"video_id": 1, "category_id": category, "bboxes": boxes, **more}


def miniature(targets, predictions):
    truth = {"videos": [{"id": 1, "length": 2}], "categories": [{"id": 1}, {"id": 2}], "annotations": targets}
    return [evaluate_teta(truth, predictions, "bbox", reference_behaviour=r).per_class for r in (False, True)]


def test_false_positives_of_an_earlier_class_are_lost_only_in_reference_behaviour():
    targets = [entry(1, 0), entry(2, 50)]
    fixed, reference = miniature(targets, [entry(2, 0, score=0.9), entry(2, 80, score=0.9)])
    assert fixed[2]["cls_pr"] == reference[2]["cls_pr"] == 0
    data = load_videos(
        {"videos": [{"id": 1, "length": 2}], "categories": [{"id": 1}, {"id": 2}], "annotations": targets},
        [entry(2, 0, score=0.9), entry(2, 80, score=0.9)],
    )
    charged = [teta_shard(data, "bbox", reference_behaviour=r).samples[1][2].cls_fp[0] for r in (False, True)]
    assert charged == [6, 4]  # 2 frames of class 1's target, and 4 detections of class 2


def test_a_pair_without_overlap_counts_at_alpha_zero_only_in_reference_behaviour():
    jump = entry(1, 0, score=0.9)
    jump["bboxes"] = [[0.0, 0.0, 4.0, 4.0], [50.0, 0.0, 4.0, 4.0]]
    fixed, reference = miniature([entry(1, 0)], [jump])
    assert fixed[1]["loc_re"] == pytest.approx(50)
    assert reference[1]["loc_re"] == pytest.approx((100 + 19 * 50) / 20)


def test_shards_of_videos_merge():
    whole, parts = teta_shard(load_videos(TRUTH, FOUND)), [Teta(), Teta()]
    for i, (key, counts) in enumerate(whole.samples.items()):
        parts[i % 2].add(key, counts)
    parts[0].merge(pickle.loads(pickle.dumps(parts[1])))
    assert parts[0].compute().summary() == pytest.approx(whole.compute().summary(), abs=1e-9)
