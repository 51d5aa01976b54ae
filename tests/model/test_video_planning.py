"""The plan of a frame, against the reference decisions, and with several phrases and objects given by a user."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sam3model.config import VideoConfig
from sam3model.video.planning import FrameDetections, FramePlan, TrackedMasks, plan_frame
from sam3model.video.reconditioning import correction_masks
from sam3model.video.track_ledger import USER_GIVEN, TrackLedger
from tests.model.video_logic_goldens import ARRAYS, CASES, indices, tensor, with_int_keys

BIRTH_SCORE = 0.5


def planning_config(params: dict) -> VideoConfig:
    return VideoConfig(
        recondition_every=params.get("recondition_every_nth_frame", 16),
        recondition_box_score=params.get("reconstruction_bbox_det_score", 0.0),
        recondition_box_iou=params.get("reconstruction_bbox_iou_thresh", 0.0),
        boundary_margin=0.025 if params.get("suppress_det_close_to_boundary") else 0.0,
        max_objects=params.get("max_num_objects"),
    )


@pytest.mark.parametrize("case", indices("planning"))
def test_a_frame_is_planned_as_in_the_reference(case):
    golden, name = CASES["planning"][case], f"planning.{case}"
    params, expected, ids = golden["params"], golden["out"], golden["trk_obj_ids"]
    born = with_int_keys(expected["obj_id_to_score"])
    ledger = TrackLedger(max_id=golden["max_obj_id_prev"]).born(ids, [born[i] for i in ids], [0] * len(ids))
    masks = tensor(f"{name}.det_masks")
    detections = FrameDetections(masks, np.float32(golden["det_scores"]), ARRAYS[f"{name}.det_boxes_xyxy"])
    tracks = TrackedMasks(tuple(ids), tensor(f"{name}.trk_masks"), np.float32(golden["trk_obj_score_logits"]))
    plan, after = plan_frame(
        ledger,
        detections,
        tracks,
        frame=golden["frame_idx"],
        config=planning_config(params),
    )
    assert list(plan.new) == expected["new_det_inds"]
    assert list(plan.new_ids) == expected["new_det_obj_ids"]
    assert list(plan.association.unmatched) == expected["unmatched"]
    assert plan.dropped == expected["num_obj_dropped_due_to_limit"]
    assert plan.association.confident == with_int_keys(expected["trk_id_to_max_iou_high_conf_det"])
    assert sorted(plan.corrections.replaced) == expected["reconditioned_obj_ids"]
    assert list(plan.removed) == expected["newly_removed"]
    prompted = plan.corrections.prompts
    areas = correction_masks(masks[list(prompted.values())], 192).sum((1, 2)).tolist()
    assert [[i, area] for i, area in zip(prompted, areas, strict=True)] == expected["add_new_mask_calls_objid_and_area"]
    states = [[i] for i in ids]  # the reference has one tracker state per object
    assert [own for own in states if not prompted.keys().isdisjoint(own)] == expected["preflight_states"]
    assert list(after.ids) == expected["obj_ids_after"]
    assert after.max_id == expected["max_obj_id_after"]
    assert {i: pytest.approx(score, abs=1e-6) for i, score in after.scores.items()} == born
    assert ledger.ids == tuple(ids)  # the ledger before is unchanged


def square(x: int, side: int = 8) -> torch.Tensor:
    logits = torch.full((16, 48), -5.0)
    logits[4 : 4 + side, x : x + side] = 5.0
    return logits


def detected(*found: tuple[int, float, int]) -> FrameDetections:
    """Detections at x with a score and a phrase."""
    masks = torch.stack([square(x) for x, _, _ in found]) if found else torch.zeros(0, 16, 48)
    boxes = np.full((len(found), 4), [0.4, 0.4, 0.6, 0.6])
    return FrameDetections(masks, np.float32([s for _, s, _ in found]), boxes, [g for _, _, g in found])


def tracked(positions: dict[int, int]) -> TrackedMasks:
    """Tracks, id -> x."""
    masks = torch.stack([square(x) for x in positions.values()]) if positions else torch.zeros(0, 16, 48)
    return TrackedMasks(tuple(positions), masks, np.full(len(positions), 5.0, np.float32))


def plan(ledger, detections, tracks, frame=0, **config) -> tuple[FramePlan, TrackLedger]:
    return plan_frame(ledger, detections, tracks, frame=frame, config=VideoConfig(**config))


def test_phrases_do_not_share_tracks_and_ids_are_unique():
    first, ledger = plan(TrackLedger(), detected((2, 0.9, 0), (2, 0.8, 1), (30, 0.75, 1)), tracked({}))
    assert first.new_ids == (0, 1, 2)
    assert ledger.concepts == {0: 0, 1: 1, 2: 1}
    second, ledger = plan(ledger, detected((2, 0.9, 0), (30, 0.9, 0), (30, 0.8, 1)), tracked({0: 2, 1: 2, 2: 30}), 1)
    assert second.association.matched == {0: (0,), 1: (), 2: (2,)}
    assert second.association.unmatched == (1,)
    assert (second.new, second.new_ids) == ((1,), (3,))
    assert ledger.concepts[3] == 0
    assert ledger.compared_concepts([0, 1], 2) == [0, 1]
    assert ledger.compared_concepts([0, 1], 1) is None


def test_a_detection_of_an_object_given_by_a_user_is_not_new():
    ledger = TrackLedger().given_by_user(7)
    assert ledger.concepts == {7: USER_GIVEN}
    found, after = plan(ledger, detected((2, 0.9, 0), (30, 0.6, 0)), tracked({7: 2}), hotstart_unmatched=1)
    assert (found.new, found.new_ids) == ((1,), (8,))  # without a track of its phrase, any kept detection is new
    assert found.association.matched == {}
    assert found.corrections.prompts == {}
    lost, after = plan(after, detected(), tracked({7: 2, 8: 30}), 1, hotstart_unmatched=1)
    assert lost.removed == (8,)
    assert after.ids == (7,)


def test_a_removed_object_leaves_only_its_id():
    _, ledger = plan(TrackLedger(), detected((2, 0.9, 0)), tracked({}))
    ledger = ledger.occluded({0: 0, 5: 3})
    assert ledger.last_occluded == {0: 0}
    removed, ledger = plan(ledger, detected(), tracked({0: 2}), 1, hotstart_unmatched=1)
    assert removed.removed == (0,)
    assert ledger == TrackLedger(hotstart=replace(TrackLedger().hotstart, removed=frozenset({0})), max_id=0)
    assert plan(ledger, detected((2, 0.9, 0)), tracked({}), 2)[0].new_ids == (1,)


def test_a_click_ends_the_hotstart_and_the_confirmation_of_an_object():
    rules = {"hotstart_unmatched": 1, "confirmation_frames": 3}
    first, ledger = plan(TrackLedger(), detected((2, 0.9, 0)), tracked({}), **rules)
    assert first.unconfirmed == (0,)
    second, ledger = plan(ledger.given_by_user(0), detected(), tracked({0: 2}), 1, **rules)
    assert (second.removed, second.unconfirmed) == ((), ())
    assert ledger.scores == {0: 1.0}
    assert ledger.concepts == {0: 0}


def test_user_removal_forgets_everything_but_the_highest_id():
    _, ledger = plan(TrackLedger(), detected((2, 0.9, 0)), tracked({}), confirmation_frames=1)
    assert ledger.without([0]) == TrackLedger(max_id=0)


def test_only_a_differing_box_replaces_what_is_shown():
    ledger = TrackLedger().born([0], [0.9], [0])
    options = {"recondition_box_iou": 0.5, "recondition_every": 0}
    given = detected((2, 0.9, 0))  # the box of the detection is far from the track's
    differs, _ = plan(ledger, given, tracked({0: 2}), **options)
    assert (differs.corrections.prompts, differs.corrections.replaced) == ({0: 0}, {0: 0})
    box = np.array([[2 / 48, 4 / 16, 10 / 48, 12 / 16]])
    same, _ = plan(ledger, replace(given, boxes=box), tracked({0: 2}), **options)
    assert (same.corrections.prompts, same.corrections.replaced) == ({}, {})
    periodic, _ = plan(ledger, replace(given, boxes=box), tracked({0: 2}), 8, recondition_every=4)
    assert (periodic.corrections.prompts, periodic.corrections.replaced) == ({0: 0}, {})
