"""Run lengths of masks, string by string as pycocotools writes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from sam3model.ops.masks import decode_rle, encode_rle

MASKS = st.sampled_from([np.bool_, np.uint8]).flatmap(
    lambda kind: arrays(kind, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 1).map(kind))
)


def expected(mask: NDArray[np.generic]) -> str:
    return str(coco.encode(np.asfortranarray(mask, np.uint8))["counts"], "ascii")  # pyright: ignore


@settings(max_examples=300)
@given(MASKS, st.sampled_from("CF"))
def test_codes_are_those_of_pycocotools(mask: NDArray[np.generic], order: str) -> None:
    code = encode_rle(np.asfortranarray(mask) if order == "F" else mask)
    assert code == {"size": list(mask.shape), "counts": expected(mask)}
    assert np.array_equal(decode_rle(code), mask.astype(bool))


@pytest.mark.parametrize("size", [(720, 1280), (1, 300_000), (300_000, 1)])
@pytest.mark.parametrize("inside", [(), (0, 0), (-1, -1), slice(None)])
def test_codes_of_large_masks(size: tuple[int, int], inside: tuple[int, int] | slice) -> None:
    mask = np.zeros(size, bool)
    if inside != ():
        mask[inside] = True
    assert encode_rle(mask)["counts"] == expected(mask)


def test_part_of_an_array_is_a_mask_like_any_other() -> None:
    whole = np.arange(600).reshape(20, 30) % 7 < 3
    for part in (whole[::2, ::3], whole[:, ::-1], whole.T, whole[3:4]):
        assert encode_rle(part)["counts"] == expected(part)


def test_what_is_not_zero_is_inside() -> None:
    assert encode_rle(np.array([[0, 2], [-1, 0]], np.int64))["counts"] == expected(np.array([[0, 1], [1, 0]]))
