"""Run-length codes: a mask of the size that they name, or a reason why not; never a crash of pycocotools."""

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sam3agent.masks import Mask, Masklet
from sam3model.data.segmentations import read_segmentation
from sam3model.errors import DataError, InputError
from sam3model.ops.masks import check_rle, coco, decode_rle, encode_rle
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import NASTY, NEW, VALUES, damaged_json

MASK = np.zeros((12, 9), bool)
MASK[3:7, 2:6] = True
SIDES = st.integers(-2, 40) | st.sampled_from([0, 1, 2**14, 2**15, 2**31, 2**40, True, 1.5, None, "9"])
CHARACTERS = st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=40)
COUNTS = CHARACTERS | CHARACTERS.map(str.encode) | st.lists(st.integers(-2, 300), max_size=9) | st.sampled_from(NASTY)
CODES = (
    st.fixed_dictionaries({"size": st.lists(SIDES, max_size=3), "counts": COUNTS})
    | damaged_json({"size": [12, 9], "counts": encode_rle(MASK)["counts"]})
    | damaged_json({"size": [12, 9], "counts": [27, 4, 8, 4, 8, 4, 8, 4, 41]})
    | VALUES.filter(lambda value: isinstance(value, dict))
)


@fuzzed(CODES, quick=150)
def test_a_code_is_a_mask_or_refused(_: Path, code: dict[str, Any]) -> None:
    try:
        mask = decode_rle(code)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
        for read in (check_rle, Mask.from_rle, lambda rle: Masklet.from_rles({0: rle})):
            try:
                read(code)
            except InputError:
                continue
            raise AssertionError(f"{read} takes what decode_rle refuses") from error
        return
    assert list(mask.shape) == list(code["size"])
    safe = check_rle(code)
    assert np.array_equal(coco.decode(safe).astype(bool), mask)
    assert int(coco.area(safe)) == mask.sum()
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


ROWS = [
    {"segmentation": [[1, 1, 8, 1, 8, 9, 1, 9]], "bbox": [1, 1, 7, 8]},
    {"segmentation": {"size": [12, 9], "counts": encode_rle(MASK)["counts"]}, "bbox": [2, 3, 4, 4]},
    {"segmentation": {"size": [12, 9], "counts": [27, 4, 8, 4, 8, 4, 8, 4, 41]}, "bbox": [2, 3, 4, 4]},
]


@fuzzed(st.sampled_from(ROWS).flatmap(damaged_json) | st.builds(dict, segmentation=NEW.filter(bool)), quick=100)
def test_a_segmentation_is_read_or_refused(_: Path, row: dict[str, Any]) -> None:
    try:
        read_segmentation(row.get("segmentation"), (9, 12))
    except DataError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
