"""What a frame shows, which frames a propagation visits and what it has to do, against the reference numbers."""

from itertools import chain

import numpy as np
import pytest
import torch

from sam3model.video.actions import Action, next_propagation
from sam3model.video.processing_order import tracker_order, video_order
from tests.model.shown_frames import full_masks, relative_xywh, show
from tests.model.video_logic_goldens import ARRAYS, CASES, indices, tensor, with_int_keys


@pytest.mark.parametrize("case", indices("postprocess"))
def test_a_frame_shows_the_same_objects_as_in_the_reference(case):
    golden, name = CASES["postprocess"][case], f"postprocess.{case}"
    expected, arrays = golden["out"], ARRAYS
    shape = arrays[f"{name}.masks_out"].shape[1:]
    masks = tensor(f"{name}.masks_in").bool() if golden["obj_ids"] else torch.zeros(0, *shape, dtype=torch.bool)
    hidden = set(chain.from_iterable(golden["hide"].values()))
    scores, tracker_scores = with_int_keys(golden["scores"]), with_int_keys(golden["tracker_scores"])
    output = show(masks, golden["obj_ids"], scores, tracker_scores, hidden)
    assert output.ids.tolist() == expected["obj_ids"]
    np.testing.assert_allclose(output.scores, expected["probs"], atol=1e-6)
    np.testing.assert_array_equal(full_masks(output), arrays[f"{name}.masks_out"])
    np.testing.assert_allclose(relative_xywh(output), arrays[f"{name}.boxes_xywh"], atol=1e-6)


def test_boxes_are_around_masks_before_overlaps_are_resolved():
    masks = torch.zeros(2, 4, 8, dtype=torch.bool)
    masks[0, 1:3, 1:6] = True
    masks[1, 1:3, 2:5] = True
    output = show(masks, [5, 3], {3: 0.9, 5: 0.8}, {3: 0.2, 5: 0.7})
    assert output.ids.tolist() == [3, 5]
    assert output.boxes.tolist() == [[2, 1, 5, 3], [1, 1, 6, 3]]
    assert full_masks(output).sum((1, 2)).tolist() == [0, 10]  # a mask that lost all its pixels stays


def test_an_object_alone_on_a_frame_needs_no_tracker_score():
    masks = torch.ones(1, 2, 2, dtype=torch.bool)
    output = show(masks, [3], {3: 0.9}, {})
    assert full_masks(output).all()
    assert output.tracker_scores.tolist() == [0]


@pytest.mark.parametrize("case", indices("video_processing_order"))
def test_frames_are_visited_in_the_order_of_the_reference(case):
    golden = CASES["video_processing_order"][case]
    start, limit, frames = golden["start_frame_idx"], golden["max_frame_num_to_track"], golden["num_frames"]
    reverse = golden["reverse"]
    shown = video_order(min(golden["frames_with_outputs"]) if start is None else start, limit, frames, reverse=reverse)
    first = min(golden["tracker_cond_frames"]) if start is None else start
    tracked = tracker_order(first, limit, frames, reverse=reverse)
    assert list(shown) == golden["out_video"]
    assert list(tracked) == golden["out_tracker"]
    assert golden["out_video_end"] == (shown[-1] if shown else tracked[-1])


def test_a_live_source_has_no_last_frame():
    order = video_order(3, None, None)
    assert (order[0], order[10**6]) == (3, 3 + 10**6)
    assert list(video_order(3, 1, None)) == [3, 4]


@pytest.mark.parametrize("case", indices("action_history"))
def test_the_next_propagation_is_that_of_the_reference(case):
    golden = CASES["action_history"][case]
    history = [
        Action(step["type"].removeprefix("propagation_"), step["frame_idx"], tuple(step["obj_ids"] or ()))
        for step in golden["history"]
    ]
    work, ids = next_propagation(history, golden["num_frames"])
    expected = golden["out"]
    assert (f"propagation_{work}", sorted(ids)) == (expected[0], sorted(expected[1] or ()))


def test_without_a_known_length_only_frame_zero_is_an_end():
    assert next_propagation([Action("full", 7)], 8) == ("fetch", ())
    assert next_propagation([Action("full", 7)], None) == ("full", ())
