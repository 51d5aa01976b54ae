"""NaN, infinite and other scores and boxes that are no numbers are errors that name the prediction, in every metric."""

import json
import math

import numpy as np
import pytest

from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1, evaluate_coco, evaluate_ytvis
from sam3model.metrics.average_precision import AveragePrecision, strongest
from sam3model.metrics.cgf1 import evaluate_cgf1
from sam3model.metrics.omnilabel_ap import OmniLabelAp
from sam3model.metrics.overlap import box_iou_xywh, rle_iou
from sam3model.metrics.results_writer import YTVISResultsWriter
from sam3model.metrics.track_nms import suppress_tracks
from sam3model.ops.masks import encode_rle

SQUARE = np.zeros((60, 80), bool)
SQUARE[10:40, 10:50] = True
RLE = encode_rle(SQUARE)
BOX = [10, 10, 40, 30]
TRUTH = {
    "images": [{"id": 1, "width": 80, "height": 60}],
    "categories": [{"id": 1, "name": "x"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "area": 1200, "iscrowd": 0, "segmentation": RLE}
    ],
}
GOOD = {"image_id": 1, "category_id": 1, "score": 0.9, "bbox": BOX, "segmentation": RLE}
BAD_SCORES = [math.nan, math.inf, -math.inf, None, "0.9", True, 10**400]


@pytest.mark.parametrize("score", BAD_SCORES)
@pytest.mark.parametrize("evaluate", [evaluate_coco, evaluate_cgf1])
def test_a_score_in_a_results_list_must_be_finite(evaluate, score):
    with pytest.raises(MetricError, match=r"prediction 1: the score is .*, not a finite number"):
        evaluate(TRUTH, [GOOD, {**GOOD, "score": score}], "bbox")


def test_a_score_in_a_results_file_must_be_finite(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([GOOD, {**GOOD, "score": math.nan}]))  # Python writes NaN as a bare word
    with pytest.raises(MetricError, match="prediction 1: the score is nan"):
        evaluate_coco(TRUTH, path)


@pytest.mark.parametrize("box", [[10, 10, math.inf, 30], [math.nan, 0, 1, 1], [1, 2, 3], "abcd", [None] * 4, 7])
def test_a_box_in_a_results_list_must_be_finite(box):
    with pytest.raises(MetricError, match=r"prediction 0: the box is .*, not four finite numbers"):
        evaluate_coco(TRUTH, [{**GOOD, "bbox": box}], "bbox")


@pytest.mark.parametrize("name", ["image_id", "category_id"])
def test_an_id_that_is_a_list_is_named(name):
    with pytest.raises(MetricError, match=f"prediction 0: {name} is a list"):
        evaluate_coco(TRUTH, [{**GOOD, name: [1]}])


@pytest.mark.parametrize("evaluate", [evaluate_coco, evaluate_cgf1])
@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        ("images", {"width": 80}, r"images\[1\] has no 'id'"),
        ("images", 3, r"images\[1\] is no object"),
        ("images", {"id": [1]}, r"images\[1\]: id is a list"),
        ("categories", {"name": "y"}, r"categories\[1\] has no 'id'"),
        ("annotations", 3, r"annotations\[1\] is no object"),
        ("annotations", {"id": 2, "image_id": [1]}, "annotation 2: image_id is a list"),
        ("annotations", {"id": 2, "iscrowd": "0"}, "annotation 2: iscrowd is the text '0': write 0 or 1"),
    ],
)
def test_bad_rows_of_ground_truth_are_named(evaluate, table, row, says):
    with pytest.raises(MetricError, match=says):
        evaluate(TRUTH | {table: [*TRUTH[table], row]}, [GOOD])


def test_ids_that_differ_in_their_type_alone_are_refused():
    for evaluate in (evaluate_coco, evaluate_cgf1):
        with pytest.raises(MetricError, match="have category_id '1', and the ground truth 1: use one type"):
            evaluate(TRUTH, [{**GOOD, "category_id": "1"}] * 2)
        evaluate(TRUTH, [GOOD, {**GOOD, "category_id": "1"}, {**GOOD, "category_id": 7}])
    with pytest.raises(MetricError, match="have image_id '1', and the ground truth 1"):
        evaluate_cgf1(TRUTH, [{**GOOD, "image_id": "1"}] * 2)


def test_numbers_of_numpy_and_torch_are_numbers():
    torch = pytest.importorskip("torch")
    plain = evaluate_coco(TRUTH, [GOOD], "bbox")
    for score, box in ((np.float32(0.9), np.array(BOX)), (torch.tensor(0.9), torch.tensor(BOX))):
        assert evaluate_coco(TRUTH, [{**GOOD, "score": score, "bbox": box}], "bbox") == plain


@pytest.mark.parametrize("mask", [SQUARE, [[10, 10, 50, 10, 50, 40]], "abc", 3])
def test_a_mask_must_be_rle(mask):
    with pytest.raises(MetricError, match="a mask must be COCO RLE, not"):
        evaluate_coco(TRUTH, [{**GOOD, "segmentation": mask}])


def test_an_annotation_must_have_a_finite_area():
    truth = {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "area": math.nan}]}
    with pytest.raises(MetricError, match="image 1, category 1: an annotation has an area"):
        evaluate_coco(truth, [GOOD])


@pytest.mark.parametrize("score", [math.nan, math.inf, None])
def test_scores_given_to_a_metric_must_be_finite(score):
    box = [[0, 0, 4, 4]]
    tracks = {"video_id": 1, "category_id": 1, "segmentations": [RLE], "score": score}
    videos = {"videos": [{"id": 1, "length": 1}], "categories": [{"id": 1}], "annotations": []}
    calls = [
        lambda: strongest([0.5, score], 2),
        lambda: AveragePrecision().update(1, 1, np.ones((1, 1)), [score]),
        lambda: ConceptF1("bbox").update("player", box, box, [score]),
        lambda: OmniLabelAp().update(1, 1, "player", "C", box, box, [score]),
        lambda: suppress_tracks([box], [score]),
        lambda: YTVISResultsWriter("unused").update(1, 1, [[RLE]], [score]),
        lambda: evaluate_ytvis(videos, [tracks]),
    ]
    for call in calls:
        with pytest.raises(MetricError, match="score"):
            call()


def test_boxes_given_to_a_metric_must_be_finite():
    with pytest.raises(MetricError, match="box 1 has a coordinate that is not finite"):
        box_iou_xywh([[0, 0, 1, 1], [0, 0, math.inf, 1]], [])


def test_masks_given_to_a_metric_must_be_rle():
    with pytest.raises(MetricError, match="a mask must be COCO RLE, not ndarray"):
        rle_iou([SQUARE], [RLE])


DAMAGED = [
    {"size": [10**9, 10**9], "counts": "0"},
    {"size": [60, 80], "counts": "zzzz"},
    {"size": [60, 80], "counts": [1, 2]},
    {"size": [60, 80], "counts": [-1, 4801]},
    {"size": [-60, 80], "counts": ""},
    {"size": 5, "counts": ""},
    {"counts": ""},
]


@pytest.mark.parametrize("mask", DAMAGED)
def test_a_damaged_mask_is_named_before_it_is_decoded(mask):
    with pytest.raises(MetricError, match=r"prediction 1: .*RLE"):
        evaluate_coco(TRUTH, [GOOD, {**GOOD, "segmentation": mask}])
    with pytest.raises(MetricError, match=r"annotation 1: .*RLE"):
        evaluate_coco({**TRUTH, "annotations": [{**TRUTH["annotations"][0], "segmentation": mask}]}, [GOOD])
    videos = {"videos": [{"id": 1, "length": 1}], "categories": [{"id": 1}], "annotations": []}
    with pytest.raises(MetricError, match=r"prediction 0: .*RLE"):
        evaluate_ytvis(videos, [{"video_id": 1, "category_id": 1, "segmentations": [mask], "score": 1.0}])
