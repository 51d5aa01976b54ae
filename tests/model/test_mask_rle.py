"""Run lengths of masks, string by string as pycocotools writes them; their boxes and sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from sam3agent.masks import Mask, Masklet
from sam3model.errors import InputError
from sam3model.ops.masks import check_rle, decode_rle, encode_rle, mask_to_box, masks_at_size

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


HOSTILE = [
    None,
    [],
    "0",
    {},
    {"size": [2, 2]},
    {"size": [10**9, 768], "counts": "0"},
    {"size": [10**9, 10**9], "counts": "0"},
    {"size": [10**400, 1], "counts": "0"},
    {"size": [65536, 65536], "counts": "0"},
    {"size": [-5, 5], "counts": "1"},
    {"size": [0, 0], "counts": ""},
    {"size": [2.0, 2], "counts": "4"},
    {"size": [True, 4], "counts": "4"},
    {"size": [2, 2, 2], "counts": "4"},
    {"size": [2, 2], "counts": ""},
    {"size": [2, 2], "counts": "zzzzzzzz"},
    {"size": [2, 2], "counts": "oooooooo0"},
    {"size": [2, 2], "counts": "P" * 1000},
    {"size": [2, 2], "counts": "\u00ff"},
    {"size": [2, 2], "counts": "\ud800"},
    {"size": [2, 2], "counts": None},
    {"size": [2, 2], "counts": [5, -1]},
    {"size": [2, 2], "counts": [1 << 40]},
    {"size": [2, 2], "counts": ["4"]},
]


@pytest.mark.parametrize("rle", HOSTILE)
def test_no_code_from_outside_reaches_pycocotools_unchecked(rle) -> None:
    readers = (
        decode_rle,
        check_rle,
        Mask.from_rle,
        lambda rle: Masklet.from_rles({0: rle}),
        lambda rle: Masklet.from_json({"0": rle}),
    )
    for read in readers:
        with pytest.raises(InputError, match="invalid run-length encoding"):
            read(rle)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-3, 70_000), min_size=2, max_size=2),
    st.one_of(st.text(max_size=12), st.binary(max_size=12), st.lists(st.integers(-2, 5000), max_size=5)),
)
def test_any_code_gives_a_mask_of_its_size_or_an_error(size: list[int], counts: object) -> None:
    try:
        mask = decode_rle({"size": size, "counts": counts})
    except InputError:
        return
    assert list(mask.shape) == size
    assert check_rle({"size": size, "counts": counts}) == encode_rle(mask)


def test_run_length_codes_round_trip_and_refuse_damage() -> None:
    mask = np.random.default_rng(0).random((13, 17)) > 0.5
    code = encode_rle(mask)
    runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=not mask.T.ravel()[-1])), prepend=0)
    plain = {"size": [13, 17], "counts": runs.tolist()}
    for rle in (code, {**code, "counts": code["counts"].encode()}, plain):
        assert np.array_equal(decode_rle(rle), mask)
    for rle in (
        {},
        {"size": [2], "counts": ""},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
    ):
        with pytest.raises(InputError, match="run-length"):
            decode_rle(rle)


def test_box_of_a_mask() -> None:
    mask = np.zeros((9, 12), dtype=bool)
    assert mask_to_box(mask) == (0, 0, 0, 0)
    mask[2:5, 3:11] = True
    assert mask_to_box(mask) == (3, 2, 11, 5)


def test_resizing_large_masks_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(0))
    whole = masks_at_size(logits, (31, 23))
    monkeypatch.setattr("sam3model.ops.masks.CHUNK_PIXELS", 1)
    assert whole.shape == (5, 23, 31) and np.array_equal(masks_at_size(logits, (31, 23)), whole)
