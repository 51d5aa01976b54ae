"""RLE masks of untrusted files: valid ones are read exactly, invalid ones never reach C code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from evals.rle_masks import read_rle
from sam3model.data import segmentations
from sam3model.errors import DataError

from .video_datasets import rle, runs

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@settings(deadline=None)
@given(MASKS)
def test_both_encodings_of_a_mask_are_read_back(mask):
    for code in (rle(mask), runs(mask)):
        read = read_rle(code, "here", mask.shape)
        assert np.array_equal(coco.decode(read), mask)
        if mask.any():
            assert segmentations.read_rle(code, mask.shape[::-1]) == read, (
                "training and scoring must read the same mask"
            )


@settings(deadline=None)
@given(MASKS, st.data())
def test_empty_runs_are_ignored(mask, data):
    code = runs(mask)
    place = data.draw(st.integers(1, len(code["counts"])))
    padded = {**code, "counts": [*code["counts"][:place], 0, 0, *code["counts"][place:]]}
    assert np.array_equal(coco.decode(read_rle(padded, "here")), mask)


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.text("012OPo~", max_size=12), st.lists(st.integers(-3, 20), max_size=5)))
def test_accepted_masks_fill_their_size(counts):
    try:
        code = read_rle({"size": [3, 4], "counts": counts}, "here")
    except DataError:
        return
    assert coco.decode(code).shape == (3, 4)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"size": [3, 4], "counts": "0"}, "do not add up to the image area"),
        ({"size": [3, 4], "counts": "o"}, "cannot be decoded"),
        ({"size": [3, 4], "counts": [12.0]}, "invalid run length"),
        ({"size": [3, 4], "counts": [6, -1, 7]}, "invalid run length"),
        ({"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, "not a valid height and width"),
        ({"size": [4, 3], "counts": [12]}, "the mask is 3x4 pixels, but the image is 4x3"),
        ({"counts": [12]}, "'size' is missing"),
        ({"size": [3, 4]}, "'counts' is missing"),
        ([[0, 0, 1, 1]], "'size' is missing"),
    ],
)
def test_an_invalid_code_is_reported(code, message):
    with pytest.raises(DataError, match=f"^here: .*{message}"):
        read_rle(code, "here", (3, 4))
