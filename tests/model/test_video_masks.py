"""Rules that change masks, against the reference numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sam3model.tracker.group import without_overlaps
from sam3model.video.full_size_masks import full_size_masks
from sam3model.video.mask_cleanup import clean_masks, search_on_device
from sam3model.video.mask_extents import has_pixels, mask_areas, mask_extents
from sam3model.video.mask_overlap import LOSER_LOGIT, resolve_by_score, shrunk
from sam3model.video.memory_masks import memory_masks
from sam3model.video.occlusion import hide_recently_occluded
from tests.model.video_logic_goldens import ARRAYS, CASES, indices, tensor, with_int_keys


@pytest.mark.parametrize("case", indices("fill_holes"))
def test_holes_and_specks_vanish_as_in_the_reference(case):
    params = CASES["fill_holes"][case]["params"]
    before = tensor(f"fill_holes.{case}.in")
    options = {"fill_holes": params["fill_holes"], "remove_specks": params["remove_sprinkles"]}
    after = clean_masks(before, params["max_area"], **options)
    assert torch.equal(after, tensor(f"fill_holes.{case}.out"))
    assert int((after != before).sum()) == CASES["fill_holes"][case]["changed"]
    assert torch.equal(clean_masks(before[:, None], params["max_area"], **options)[:, 0], after)


def small_parts(mask: np.ndarray, area: int) -> np.ndarray:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    parts = [labels == k for k in range(1, count + 1)]
    return np.any([part for part in parts if part.sum() <= area] or [np.zeros_like(mask)], axis=0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 16]), st.floats(0.02, 0.98))
def test_both_ways_to_clean_equal_labelling_the_whole_mask(seed, area, density):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 40, 2)
    masks = random.random((2, height, width)) < density
    masks[0, :, random.integers(0, width + 1) :] = False
    holes = np.stack([small_parts(~mask, area) for mask in masks])
    filled = masks | holes
    specks = np.stack([small_parts(mask, min(area, mask.sum() // 2)) for mask in filled])
    logits = torch.from_numpy(np.where(masks, 3.0, -3.0))
    assert np.array_equal((clean_masks(logits, area) > 0).numpy(), filled & ~specks)
    on_device = search_on_device(torch.from_numpy(masks), area, True, True)
    assert [part.tolist() for part in on_device] == [holes.ravel().tolist(), specks.ravel().tolist()]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("length", range(14, 20))
def test_a_long_thin_hole_is_filled_up_to_the_area(length, step):
    mask = torch.ones(1, 24, 24, dtype=torch.bool)
    for k in range(length):  # a row or a diagonal
        mask[0, 2 + k * step, 2 + k] = False
    filled = length <= 16
    assert bool((clean_masks(torch.where(mask, 1.0, -1.0), 16) > 0).all()) == filled
    assert bool(search_on_device(mask, 16, True, False)[0].any()) == filled


def test_an_area_of_zero_changes_nothing():
    logits = torch.randn(2, 9, 9)
    assert torch.equal(clean_masks(logits, 0), logits)


@pytest.mark.parametrize("case", indices("recent_occlusion"))
def test_the_same_objects_are_hidden_as_in_the_reference(case):
    golden = CASES["recent_occlusion"][case]
    params, expected = golden["params"], golden["out"]
    before = tensor(f"recent_occlusion.{case}.masks")
    step = hide_recently_occluded(
        before,
        golden["obj_ids"],
        with_int_keys(golden["last_occluded_prev"]),
        frame=params["frame_idx"],
        iou=params["threshold"],
        removed=golden["newly_removed"],
        reverse=params["reverse"],
    )
    assert step.hidden.tolist() == expected["suppressed"]
    assert step.last_occluded == with_int_keys(expected["last_occluded_new"])
    assert torch.equal(step.masks, tensor(f"recent_occlusion.{case}.out"))


def test_objects_of_two_phrases_do_not_hide_each_other():
    masks = torch.ones(2, 4, 4)
    last = {1: 3, 2: 5}
    assert hide_recently_occluded(masks, [1, 2], last, frame=9, iou=0.7).hidden.tolist() == [False, True]
    apart = hide_recently_occluded(masks, [1, 2], last, frame=9, iou=0.7, concepts=[0, 1])
    assert apart.hidden.tolist() == [False, False]
    assert apart.last_occluded == last


def test_an_iou_of_zero_turns_the_occlusion_rule_off():
    step = hide_recently_occluded(torch.ones(2, 4, 4), [1, 2], {1: 3, 2: 5}, frame=9, iou=0)
    assert not step.hidden.any()
    assert step.last_occluded == {1: 3, 2: 5}


@pytest.mark.parametrize("case", indices("non_overlap"))
def test_overlaps_are_resolved_as_in_the_reference(case):
    golden, name = CASES["non_overlap"][case], f"non_overlap.{case}"
    logits, scores = tensor(f"{name}.logits"), golden["obj_scores"]
    assert torch.equal(without_overlaps(logits), tensor(f"{name}.pixelwise"))
    lost, lower = shrunk(logits, golden["shrink_threshold"]), logits.clamp(max=LOSER_LOGIT)
    assert torch.equal(torch.where(lost[:, None, None], lower, logits), tensor(f"{name}.shrink_suppressed"))
    resolved = torch.stack(resolve_by_score(logits > 0, scores)) if len(logits) else logits > 0
    assert torch.equal(torch.where(resolved, logits, lower), tensor(f"{name}.objectwise_logits"))
    assert torch.equal(resolved, tensor(f"{name}.objectwise_binary").bool())


def test_objects_of_two_phrases_keep_their_overlap():
    masks = torch.ones(3, 2, 2, dtype=torch.bool)
    assert [bool(one.all()) for one in resolve_by_score(masks, [0.9, 0.8, 0.7], [0, 0, 1])] == [True, False, True]
    logits = torch.stack([torch.full((2, 2), value) for value in (3.0, 2.0, 1.0)])
    assert shrunk(logits, 0.3, [0, 0, 1]).tolist() == [False, True, False]


@pytest.mark.parametrize("case", indices("memory_update"))
def test_masks_for_memory_are_those_of_the_reference(case):
    golden, name = CASES["memory_update"][case], f"memory_update.{case}"
    side = golden["interpol_size"][0]
    masks, scores = memory_masks(tensor(f"{name}.low_res"), side, 0.3)
    assert list(masks.shape) == golden["high_res_shape"]
    assert scores.tolist() == golden["object_score_logits"]
    assert (masks > 0).sum((1, 2)).tolist() == golden["positive_pixels"]
    bits = np.unpackbits(ARRAYS[f"{name}.high_res_bits"])[: masks.numel()].reshape(masks.shape)
    assert np.array_equal((masks > 0).numpy(), bits.astype(bool))
    torch.testing.assert_close(masks[:, 96], tensor(f"{name}.high_res_rows_96"), atol=1e-6, rtol=1e-6)


def test_boxes_of_masks_are_those_of_the_reference():
    masks = tensor("boxes.masks").bool()
    boxes, filled = mask_extents(masks), has_pixels(masks)
    assert filled.tolist() == masks.flatten(1).any(1).tolist()
    assert mask_areas(masks).tolist() == masks.sum((1, 2)).tolist()
    assert boxes.tolist() == ARRAYS["boxes.mask_to_box"].tolist()
    # the other official function has an inverted box for an empty mask
    assert boxes[filled].tolist() == ARRAYS["boxes.masks_to_boxes"][filled.numpy()].tolist()


def test_full_size_masks_are_resized_logits_above_zero():
    logits = torch.tensor([[[4.0, -4.0]]])
    assert full_size_masks(logits, (4, 2)).tolist() == [[[True, True, False, False]] * 2]
    assert full_size_masks(logits[:0], (4, 2)).shape == (0, 2, 4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_surroundings_of_an_object_need_resizing(seed):
    random = np.random.default_rng(seed)
    height, width, tall, wide = random.integers(1, 30, 4)
    logits = torch.from_numpy(random.normal(size=(2, height, width)).astype(np.float32)) - 1
    logits[0, :, random.integers(0, width + 1) :] = -2
    whole = torch.nn.functional.interpolate(logits[:, None], size=(tall, wide), mode="bilinear")[:, 0]
    sure = whole.abs() > 1e-5
    masks = full_size_masks(logits, (int(wide), int(tall)))
    assert torch.equal(masks & sure, (whole > 0) & sure)


def halves() -> torch.Tensor:
    """Two masks with an IoU of one half; the first loses half of its area to the second."""
    logits = torch.full((2, 1, 4), -5.0)
    logits[0, 0] = 1.0
    logits[1, 0, :2] = 2.0
    return logits


def test_an_overlap_equal_to_the_threshold_hides_an_object():
    assert hide_recently_occluded(halves(), [1, 2], {1: 3, 2: 5}, frame=9, iou=0.5).hidden.tolist() == [False, True]


def test_a_mask_that_keeps_just_enough_of_its_area_stays():
    assert shrunk(halves(), 0.5).tolist() == [False, False]
    assert shrunk(halves(), 0.51).tolist() == [True, False]


def test_an_empty_mask_is_absent_from_memory_whatever_the_ratio():
    assert memory_masks(torch.full((1, 4, 4), -1.0), 8, 0.0)[1].tolist() == [-10]


def test_an_object_with_a_score_of_zero_loses_pixels_that_nobody_else_covers():
    masks = torch.tensor([[[True, False]], [[False, True]]])
    assert [one.tolist() for one in resolve_by_score(masks, [0.4, 0.0])] == [[[True, False]], [[False, False]]]


def test_overlaps_are_resolved_inside_boxes_as_on_whole_masks():
    rows, columns = torch.meshgrid(torch.arange(20), torch.arange(30), indexing="ij")
    discs = [(rows - y) ** 2 + (columns - x) ** 2 < 36 for y, x in ((8, 8), (10, 14), (9, 23), (6, 11))]
    scores, boxes = [0.5, 0.9, 0.5, -0.1], mask_extents(torch.stack(discs)).tolist()
    cut = [disc[y0 : y1 + 1, x0 : x1 + 1] for disc, (x0, y0, x1, y1) in zip(discs, boxes, strict=True)]
    whole, inside = resolve_by_score(discs, scores), resolve_by_score(cut, scores, boxes=boxes)
    for large, small, (x0, y0, x1, y1) in zip(whole, inside, boxes, strict=True):
        assert torch.equal(large[y0 : y1 + 1, x0 : x1 + 1], small) and large.sum() == small.sum()
    smaller = [int(one.sum()) < int(disc.sum()) for one, disc in zip(whole, discs, strict=True)]
    assert smaller == [True, False, True, True]
