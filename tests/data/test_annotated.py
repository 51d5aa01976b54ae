"""Transforms, what pictures are asked, and folders as training data."""

import itertools
import logging
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3model.data.annotated import AnnotatedSource
from sam3model.data.asking import Asking, mirrored, says_where
from sam3model.data.coco import read_coco
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, stream
from sam3model.data.layout import find
from sam3model.data.records import AnnotatedSet, Concept, Record, Thing
from sam3model.data.segments import read_segmentation
from sam3model.data.transforms import Colour, Crop, Flip, ScaleJitter, SquarePad
from sam3model.data.view import View, show
from sam3model.errors import DataError
from sam3model.ops.masks import encode_rle, mask_to_box
from sam3model.ops.resize import preprocess
from sam3model.structures import VISUAL
from sam3model.text import Tokenizer
from tests.data.annotated_sets import SIZE, blob, picture, small_coco

EVERYTHING = (ScaleJitter(0.5, 2.0, keep=0.2), Flip(0.5), Crop(0.4, 0.9, chance=0.7), SquarePad(), Colour())


def thing_of(mask: np.ndarray) -> Thing:
    box = tuple(float(side) for side in mask_to_box(mask))
    return Thing(box, read_segmentation(encode_rle(mask), SIZE))


def view_of(things: list[Thing], **fields: object) -> View:
    return View.whole(SIZE, np.array([thing.box for thing in things]).reshape(-1, 4), **fields)


def corners(box: np.ndarray, view: View) -> np.ndarray:
    """Normalised cxcywh to xyxy in the view's pixels."""
    x, y, w, h = box * [view.width, view.height, view.width, view.height]
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


@given(seed=st.integers(0, 10**6), number=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_boxes_are_the_boxes_of_transformed_masks_and_pixels_go_with_them(seed, number):
    mask = blob(number)
    thing = thing_of(mask)
    view, rng = view_of([thing]), np.random.default_rng(seed)
    for transform in EVERYTHING[:-1]:
        view = transform(view, rng)
    side = 16
    shown = show(thing, view, side, outlined=True)
    seen = view.mask(mask)
    assert seen.shape == (view.height, view.width)
    assert shown.share == pytest.approx(seen.sum() / mask.sum())
    assert corners(shown.box, view) == pytest.approx(np.array(mask_to_box(seen)), abs=1e-4)
    unlined = show(thing, view, side, outlined=False)
    assert unlined.box == pytest.approx(shown.box, abs=1e-6)
    # A picture that is white where the thing is goes the same way as the mask: so do the pixels of any other.
    white = view.pixels(torch.from_numpy(mask).to(torch.uint8).expand(3, -1, -1) * 255, side)[0] > 0.01
    assert (white.numpy() == shown.mask).mean() > 0.95


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_boxes_without_outlines_go_the_way_of_a_mask_that_fills_them(seed):
    x0, y0 = np.random.default_rng(seed).integers(0, 20, 2)
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0 : y0 + 8, x0 : x0 + 11] = True
    thing = thing_of(mask)
    view, rng = view_of([thing]), np.random.default_rng(seed)
    for transform in EVERYTHING:
        view = transform(view, rng)
    outlined, plain = show(thing, view, 8, outlined=True), show(Thing(thing.box), view, 8, outlined=True)
    assert plain.box == pytest.approx(outlined.box, abs=1e-5)
    assert plain.share == pytest.approx(outlined.share, abs=1e-5)
    assert not plain.mask.any()


def test_the_whole_picture_is_what_the_predictor_sees():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 30, 40), np.uint8))
    assert torch.equal(view_of([]).pixels(pixels, 16), preprocess(pixels, 16))
    flipped = Flip(1.0)(view_of([]), np.random.default_rng(0))
    assert torch.equal(flipped.pixels(pixels, 16), preprocess(pixels, 16).flip(-1))


def test_crops_hold_a_thing_and_stay_inside():
    thing = thing_of(blob(3))
    for seed in range(50):
        view = Crop(0.3, 0.6, keep=0.5, chance=1.0)(view_of([thing]), np.random.default_rng(seed))
        x0, y0, x1, y1 = view.window
        assert 0 <= x0 < x1 <= SIZE[0]
        assert 0 <= y0 < y1 <= SIZE[1]
        assert view.window == (0, 0, *SIZE) or view.shares()[0] >= 0.5


def test_pictures_that_are_asked_for_places_are_not_cut():
    view = view_of([thing_of(blob(3))], located=True)
    assert Crop(0.3, 0.6, chance=1.0)(view, np.random.default_rng(0)) == view
    assert ScaleJitter(2.0, 3.0)(view, np.random.default_rng(0)) == view


def test_a_smaller_scale_puts_the_picture_on_grey():
    view = ScaleJitter(0.5, 0.5)(view_of([]), np.random.default_rng(0))
    assert (view.width, view.height) == (80, 60)
    pixels = view.pixels(torch.zeros(3, 30, 40, dtype=torch.uint8), 80)
    assert (pixels < -0.9).float().mean() == pytest.approx(0.25, abs=0.02)
    assert (pixels.abs() < 0.01).float().mean() == pytest.approx(0.75, abs=0.05)
    assert SquarePad()(view_of([]), np.random.default_rng(0)).window == (0, -5, 40, 35)


def test_colours_change_pixels_only():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(60, 190, (3, 30, 40), np.uint8))
    view = view_of([])
    lighter = replace(view, colour=(1.2, 1.0, 1.0))
    grey = replace(view, colour=(1.0, 1.0, 0.0))
    assert lighter.pixels(pixels, 16).mean() > view.pixels(pixels, 16).mean()
    assert grey.pixels(pixels, 16).std(0).max() < 0.01
    assert Colour()(view, np.random.default_rng(0)).window == view.window
    beside = replace(lighter, window=(-40, 0, 40, 30)).pixels(pixels, 16)
    assert beside[..., :7].abs().max() < 0.01


@pytest.mark.parametrize(
    ("phrase", "other"),
    [
        ("dog on the left", "dog on the right"),
        ("LEFT and Right", "RIGHT and Left"),
        ("leftmost cup, right-hand plate", "rightmost cup, left-hand plate"),
        ("bright upright copyright", "bright upright copyright"),
    ],
)
def test_left_and_right_change_places_in_mirrored_phrases(phrase, other):
    assert mirrored(phrase) == other
    assert mirrored(other) == phrase


def test_phrases_that_say_where_are_known():
    assert says_where("the leftmost cup")
    assert says_where("second row in the middle")
    assert not says_where("bright copyright sign")


def record(**things: int) -> Record:
    box = Thing((0, 0, 5, 5))
    return Record("r", Path("r"), SIZE, tuple(Concept(name, (box,) * count) for name, count in things.items()))


VOCABULARY = tuple("abcdefgh")


def drawn(asking: Asking, one: Record, times: int = 300):
    return [asking.choose(one, VOCABULARY, np.random.default_rng(seed)) for seed in range(times)]


def test_negatives_are_absent_and_have_their_share():
    asked = drawn(Asking(phrases=5, negatives=0.4), record(a=1, b=2, c=1))
    every = [concept for concepts in asked for concept in concepts]
    assert max(map(len, asked)) <= 5
    assert sum(not one.things for one in every) / len(every) == pytest.approx(0.4, abs=0.05)
    assert {one.phrase for one in every if not one.things} == set("defgh")
    assert all(len({one.phrase for one in concepts}) == len(concepts) for concepts in asked)


def test_every_phrase_can_be_asked():
    for asked in drawn(Asking(phrases=20, negatives=None), record(a=1, c=1), 5):
        assert sorted(one.phrase for one in asked) == list(VOCABULARY)
        assert {one.phrase for one in asked if one.things} == {"a", "c"}
    assert all(len(asked) == 5 for asked in drawn(Asking(phrases=5, negatives=None), record(a=1), 5))


def test_a_picture_without_things_is_asked_for_what_is_absent():
    assert all(concepts and not any(one.things for one in concepts) for concepts in drawn(Asking(), record()))


def test_what_is_not_known_to_be_absent_is_never_a_negative():
    federated = replace(record(a=1), absent=("g",))
    unsure = replace(record(a=1, b=0))
    assert {one.phrase for asked in drawn(Asking(), federated) for one in asked} == {"a", "g"}
    assert "b" not in {one.phrase for asked in drawn(Asking(), unsure) for one in asked}


def test_half_of_the_negatives_are_look_alikes():
    asking = Asking(phrases=2, negatives=0.5, hard_negatives={"a": ["h", "alpaca"], "b": ["c"]})
    found = Counter(one.phrase for asked in drawn(asking, record(a=1)) for one in asked if not one.things)
    assert (found["h"] + found["alpaca"]) / found.total() == pytest.approx(0.5, abs=0.12)
    federated = drawn(asking, replace(record(a=1), absent=("b",)))
    assert "h" not in {one.phrase for asked in federated for one in asked}  # the set knows it, but not about this one


def test_annotations_have_a_cap():
    asked = drawn(Asking(phrases=4, negatives=0.0, max_annotations=10), record(a=25, b=4, c=4))
    assert all(sum(len(one.things) for one in concepts) <= 10 for concepts in asked)
    alone = drawn(Asking(max_annotations=10), record(a=25), 1)[0][0]
    assert len(alone.things) == 10
    assert not alone.exhaustive


@pytest.fixture
def data(tmp_path) -> AnnotatedSet:
    return read_coco(find(small_coco(tmp_path), "train"))


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if hasattr(value, "__dataclass_fields__"):
        return [tensor for item in fields(value) for tensor in flat(getattr(value, item.name))]
    return []


def test_any_number_of_workers_makes_the_same_batches(data):
    source = AnnotatedSource(data, seed=5, size=32, exemplars=0.5, transforms=EVERYTHING)
    tokenize = CachedTokenizer(Tokenizer(16))
    runs = [
        list(itertools.islice(stream(Sam3ImageDataset(source), tokenize, batch=2, start=6, workers=workers), 4))
        for workers in (0, 1, 2)
    ]
    for first, *others in zip(*runs, strict=True):
        for other in others:
            assert (other.phrases, other.names) == (first.phrases, first.names)
            assert all(torch.equal(a, b) for a, b in zip(flat(first), flat(other), strict=True))


def test_every_picture_comes_once_in_a_turn_in_an_order_of_its_own(data):
    source = AnnotatedSource(data, size=16)
    turns = [[source(6 * turn + place).name for place in range(6)] for turn in range(3)]
    assert all(sorted(turn) == sorted(turns[0]) for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1
    in_order = AnnotatedSource(data, size=16, shuffle=False)
    assert [in_order(index).name for index in range(7)] == [f"{n}.png" for n in (1, 2, 3, 4, 5, 6, 1)]


def test_mirrored_pictures_ask_for_the_other_side(data):
    queries = AnnotatedSource(data, size=16, transforms=[Flip(1.0)], shuffle=False)(0).queries
    assert {query.phrase for query in queries} <= {"cat", "dog on the right", "bird", "cow animal"}


def test_exemplars_lie_on_things_and_some_say_everything(data):
    source = AnnotatedSource(data, size=16, exemplars=1.0)
    queries = [query for index in range(12) for query in source(index).queries]
    given = [query for query in queries if query.exemplars is not None]
    assert {query.phrase == VISUAL for query in given} == {True, False}
    assert all(abs(query.boxes - query.exemplars).max(1).min() < 0.1 for query in given)


def test_only_so_many_prompts_are_outlined(data):
    asking = Asking(negatives=0.0)
    queries = AnnotatedSource(data, asking, size=32, outlined=1, shuffle=False)(0).queries
    assert [bool(query.masks.any()) for query in queries] == [True, False]
    assert all((query.boxes[:, 2:] > 0).all() for query in queries)


def test_a_thing_that_is_mostly_cut_off_is_not_asked_for():
    half = Concept("cat", (Thing((0, 0, 10, 10)), Thing((20, 0, 30, 10))))
    cut = replace(view_of([]), window=(8, 0, 40, 30), keep=0.5)
    source = AnnotatedSource(AnnotatedSet("s", [record()], ()), size=16)
    query = source._query(half, cut, True, np.random.default_rng(0))
    assert query is not None
    assert len(query.boxes) == 1
    assert not query.exhaustive
    assert source._query(replace(half, things=half.things[:1]), cut, True, np.random.default_rng(0)) is None
    away = source._query(replace(half, things=(Thing((0, 0, 8, 8)),)), cut, True, np.random.default_rng(0))
    assert away is not None
    assert away.exhaustive
    assert not len(away.boxes)


def test_broken_pictures_are_replaced_counted_and_named(data, caplog):
    broken = data.records[2]
    broken.path.write_bytes(broken.path.read_bytes()[:60])
    picture(data.records[3].path, size=(41, 30))
    source = AnnotatedSource(data, size=16, shuffle=False, broken=0.4)
    with caplog.at_level(logging.WARNING):
        names = [source(index).name for index in range(6)]
    assert not {"3.png", "4.png"} & set(names)
    assert len(names) == 6
    assert source.faults.counts() == {
        "picture that cannot be read": 1,
        "picture of another size than its annotations say": 1,
    }
    assert "3.png" in caplog.text


def test_too_many_broken_pictures_are_an_error(data):
    for one in data.records[:3]:
        one.path.write_text("no picture")
    source = AnnotatedSource(data, size=16, shuffle=False, broken=0.3)
    with pytest.raises(DataError, match=r"2 of 6 pictures .* are broken, more than data.broken=0.3 allows"):
        [source(index) for index in range(6)]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_is_one_line_whoever_met_it(data, workers):
    for one in data.records:
        one.path.write_text("no picture")
    source = Sam3ImageDataset(AnnotatedSource(data, size=16, shuffle=False))
    with pytest.raises(
        DataError, match=r"^1 of 6 pictures of .* \(picture that cannot be read: 1; the first is 1.png\)$"
    ):
        next(stream(source, CachedTokenizer(Tokenizer(16)), batch=2, workers=workers))


def test_a_set_that_leaves_nothing_to_ask_says_so(tmp_path):
    picture(tmp_path / "1.png")
    silent = AnnotatedSet("quiet.json", [replace(record(), path=tmp_path / "1.png")], ())
    with pytest.raises(DataError, match=r"quiet.json: 100 pictures in a row leave nothing to ask"):
        AnnotatedSource(silent, size=16)(0)


def test_a_worker_left_behind_does_not_hold_up_the_end_of_the_process():
    code = (
        "import torch.utils.data as d\nfrom sam3model.data import dataset\ndataset.GRACE_S = 0.2\n"
        "loader = d.DataLoader(range(9), num_workers=1, worker_init_fn=dataset._quiet_worker)\n"
        "left = iter(loader)\nnext(left)\n"
        "type(left)._shutdown_workers = lambda _: None  # as when a traceback keeps the iterator alive\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
