"""Non-maximum suppression of masks."""

import torch

from sam3model.ops.nms import distinct_masks


def box(x0: int, x1: int) -> torch.Tensor:
    mask = torch.zeros(4, 10, dtype=torch.bool)
    mask[:, x0:x1] = True
    return mask


def test_of_two_overlapping_masks_the_higher_score_is_kept():
    masks = torch.stack((box(0, 4), box(0, 10), box(7, 10)))
    assert distinct_masks(masks, torch.tensor([0.9, 0.5, 0.4]), 0.6).tolist() == [True, False, True]
    assert distinct_masks(masks, torch.tensor([0.4, 0.9, 0.5]), 0.6).tolist() == [False, True, False]


def test_the_limit_is_exclusive_and_empty_masks_overlap_nothing():
    masks = torch.stack((box(0, 4), box(2, 6), box(0, 0), box(0, 0)))
    assert distinct_masks(masks, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.5).tolist() == [True] * 4
    assert distinct_masks(masks, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.49).tolist() == [True, False, True, True]


def test_a_suppressed_mask_suppresses_nothing():
    masks = torch.stack((box(0, 4), box(1, 7), box(4, 10)))
    assert distinct_masks(masks, torch.tensor([0.9, 0.8, 0.7]), 0.4).tolist() == [True, False, True]


def test_no_masks():
    assert distinct_masks(torch.zeros(0, 4, 4, dtype=torch.bool), torch.zeros(0), 0.5).tolist() == []
