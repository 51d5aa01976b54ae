"""Polygons around masks: filled by another library, they give the mask back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from scipy.ndimage import gaussian_filter

from sam3agent.labelling.outlines import polygon_of
from sam3agent.masks import Mask


def filled(mask: Mask) -> np.ndarray:
    """The polygon of a mask, filled by pycocotools."""
    polygon = polygon_of(mask)
    assert polygon.shape[0] >= 3
    rle = coco.frPyObjects([polygon.ravel().tolist()], mask.height, mask.width)
    return coco.decode(rle)[:, :, 0] > 0


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 3))))
def test_the_smallest_masks_are_exact(small: np.ndarray) -> None:
    full = np.zeros((9, 8), bool)
    full[3 : 3 + small.shape[0], 2 : 2 + small.shape[1]] = small
    if (mask := Mask.from_full(full)) is not None:
        assert (filled(mask) == full).all()


@pytest.mark.parametrize(("size", "iou"), [(64, 0.95), (256, 0.98)])
def test_parts_and_holes_are_kept(size: int, iou: float) -> None:
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=(size, size))
        full = gaussian_filter(noise, size / 20) > 0.005
        again = filled(Mask.from_full(full))  # pyright: ignore[reportArgumentType]
        assert (again & full).sum() / (again | full).sum() > iou


def test_masks_that_touch_every_side() -> None:
    full = np.ones((40, 30), bool)
    assert (filled(Mask.from_full(full)) == full).all()  # pyright: ignore[reportArgumentType]


def test_straight_and_slanted_sides_have_few_points() -> None:
    y, x = np.mgrid[:200, :200]
    triangle = (x > 20) & (y > 20) & (x + y < 180)
    assert len(polygon_of(Mask.from_full(triangle))) < 12  # pyright: ignore[reportArgumentType]
