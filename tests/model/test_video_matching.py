"""Matching of detections with tracks, and the choice of new objects, against the reference numbers."""

import numpy as np
import pytest
import torch

from sam3model.config import VideoConfig
from sam3model.video.association import associate, mask_overlaps
from sam3model.video.border import away_from_border
from sam3model.video.detection_nms import keep_detections
from sam3model.video.object_limit import limit_new_objects
from tests.model.video_logic_goldens import CASES, indices, tensor, with_int_keys


@pytest.mark.parametrize("case", indices("associate"))
def test_detections_and_tracks_are_matched_as_in_the_reference(case):
    golden = CASES["associate"][case]
    params, expected = golden["params"], golden["out"]
    config = VideoConfig(
        match_iou=params["assoc_iou_thresh"],
        track_match_iou=params["trk_assoc_iou_thresh"],
        new_object_score=params["new_det_thresh"],
        one_to_one_matching=params["o2o_matching_masklets_enable"],
    )
    masks = tensor(f"associate.{case}.det_masks"), tensor(f"associate.{case}.trk_masks")
    found = associate(masks[0], np.float32(golden["det_scores"]), masks[1], golden["trk_obj_ids"], config)
    assert list(found.new) == expected["new_det_inds"]
    assert list(found.unmatched) == expected["unmatched_trk_obj_ids"]
    assert list(found.empty) == expected["empty_trk_obj_ids"]
    assert found.matched == with_int_keys(expected["det_to_matched_trk_obj_ids"])
    assert found.confident == with_int_keys(expected["trk_id_to_max_iou_high_conf_det"])


def square(x: int, side: int = 8) -> torch.Tensor:
    logits = torch.full((16, 32), -5.0)
    logits[4 : 4 + side, x : x + side] = 5.0
    return logits


def test_a_later_detection_corrects_a_track_instead_of_an_earlier_one():
    found = associate(torch.stack([square(2), square(2)]), np.array([0.95, 0.9]), square(2)[None], [7], VideoConfig())
    assert found.confident == {7: 1}


def test_thresholds_include_their_value():
    half = square(2)[None], square(2)[None].clone()
    half[1][:, 8:] = -5.0  # the lower half is missing: an IoU of one half
    config = VideoConfig(match_iou=0.5, track_match_iou=0.5, new_object_score=0.75)
    assert associate(half[0], np.array([0.9]), half[1], [7], config).matched == {0: (7,)}
    assert associate(half[0], np.array([0.9]), half[1], [7], config).unmatched == ()
    assert associate(square(20)[None], np.array([0.75]), half[1], [7], config).new == (0,)


def test_a_new_detection_corrects_no_track():
    config = VideoConfig(match_iou=0.95, confident_iou=0.75)
    found = associate(square(2)[None], np.array([0.9]), square(3)[None], [7], config)
    assert (found.new, found.confident) == ((0,), {})


def test_hungarian_matching_gives_a_detection_to_one_track_only():
    masks = square(2)[None], torch.stack([square(2), square(3)])
    shared = associate(*masks[:1], np.array([0.9]), masks[1], [4, 5], VideoConfig())
    single = associate(*masks[:1], np.array([0.9]), masks[1], [4, 5], VideoConfig(one_to_one_matching=True))
    assert (shared.unmatched, single.unmatched) == ((), (5,))
    assert shared.matched == single.matched == {0: (4, 5)}


def test_masks_of_two_sizes_are_compared_at_the_smaller_one():
    large = torch.nn.functional.interpolate(square(2)[None, None], scale_factor=3, mode="nearest")[0]
    assert mask_overlaps(large, square(2)[None])[0, 0] == 1
    assert mask_overlaps(square(2)[None], large)[0, 0] == 1


@pytest.mark.parametrize("case", indices("nms"))
def test_the_same_detections_survive_as_in_the_reference(case):
    golden = CASES["nms"][case]
    scores = torch.tensor(golden["probs"])
    kept = keep_detections(tensor(f"nms.{case}.masks"), scores, golden["prob_threshold"], golden["iou_threshold"])
    assert kept.tolist() == np.flatnonzero(golden["keep"]).tolist()


def test_of_equal_scores_the_later_detection_survives():
    masks = torch.stack([square(2), square(2), square(20)])
    assert keep_detections(masks, torch.tensor([0.9, 0.9, 0.6]), 0.5, 0.1).tolist() == [1, 2]


def test_the_score_of_a_detection_must_exceed_the_threshold():
    assert keep_detections(square(2)[None], torch.tensor([0.5]), 0.5, 0.1).tolist() == []


def test_boxes_at_the_border_are_the_same_as_in_the_reference():
    golden = CASES["boundary"]
    assert away_from_border(np.float32(golden["boxes_xyxy"]), golden["margin"]).tolist() == golden["keep"]


def test_without_a_margin_no_box_is_at_the_border():
    assert away_from_border(np.zeros((2, 4)), 0).tolist() == [True, True]


@pytest.mark.parametrize("case", indices("drop_new_det"))
def test_the_object_limit_keeps_the_same_detections_as_in_the_reference(case):
    golden = CASES["drop_new_det"][case]
    kept = limit_new_objects(golden["new_det_inds"], np.float32(golden["det_scores"]), golden["num_to_keep"])
    assert list(kept) == golden["out"]


def test_no_room_and_no_limit():
    scores = np.array([0.8, 0.9])
    assert limit_new_objects((0, 1), scores, -3) == ()
    assert limit_new_objects((0, 1), scores, None) == (0, 1)
