"""Masks in their boxes, and ids that never change or come back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sam3agent.masks import Mask, Masklet
from sam3agent.pool import MaskPool, masklets
from sam3agent.segmenter import FoundInstances

bitmaps = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def found(*masks: np.ndarray, scores: list[float] | None = None) -> list[tuple[Masklet, float]]:
    height, width = masks[0].shape
    return masklets(FoundInstances.of(masks, (width, height), scores or [0.9] * len(masks)))


def block(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((10, 40), bool)
    mask[2:8, x0:x1] = True
    return mask


@settings(deadline=None)
@given(bitmaps)
def test_a_mask_keeps_every_pixel(full: np.ndarray) -> None:
    mask = Mask.from_full(full)
    if mask is None:
        assert not full.any()
        return
    assert (mask.full() == full).all()
    assert mask.area == full.sum()
    back = Mask.from_rle(mask.to_rle())
    assert back is not None and (back.full() == full).all()


@settings(deadline=None)
@given(arrays(bool, (6, 7)), arrays(bool, (6, 7)))
def test_overlap_is_that_of_the_full_masks(a: np.ndarray, b: np.ndarray) -> None:
    one, other = Mask.from_full(a), Mask.from_full(b)
    if one and other:
        assert one.intersection(other) == (a & b).sum()
        assert Masklet.of(one).iou(Masklet.of(other)) == pytest.approx((a & b).sum() / (a | b).sum())


def test_booleans_from_pillow_are_counted_once() -> None:
    mask = Mask.from_full(np.asarray(Image.new("1", (4, 3), 1)))
    assert mask is not None and mask.area == 12 and mask.crop.view(np.uint8).max() == 1


def test_an_object_found_again_keeps_its_id() -> None:
    pool, first = MaskPool().add("player", found(block(0, 8), block(20, 30)))
    pool, second = pool.add("player in white", found(block(0, 8), block(32, 38)))
    assert (first, second) == ((1, 2), (1, 3))
    one = pool.get(1)
    assert one is not None and dict(one.phrases) == pytest.approx({"player": 0.9, "player in white": 0.9})
    assert [c.id for c in pool.found_by("player in white")] == [1, 3]


def test_doubles_of_one_phrase_are_one_object_with_the_better_score() -> None:
    pool, ids = MaskPool().add("player", found(block(0, 8), block(0, 8), scores=[0.6, 0.8]))
    assert ids == (1,) and pool.candidates[0].score == pytest.approx(0.8)


def test_discarded_ids_are_not_used_again() -> None:
    pool, _ = MaskPool().add("a", found(block(0, 8)))
    pool, ids = pool.discard([1]).add("b", found(block(0, 8)))
    assert ids == (2,) and pool.missing([1, 2]) == (1,)


def test_empty_masks_are_no_candidates() -> None:
    assert MaskPool().add("a", found(np.zeros((4, 4), bool)))[1] == ()
