"""Transforms, the choice of queries, and folders of annotated images as training data."""

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

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.annotations import AnnotatedDataset, AnnotatedImage, AnnotatedPhrase, Annotation
from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset import CachedTokenizer, Sam3ImageDataset, stream
from sam3model.data.dataset_layout import find_files
from sam3model.data.image_view import ImageView
from sam3model.data.query_sampling import QuerySampler, mentions_position, mirrored
from sam3model.data.segmentations import read_segmentation
from sam3model.data.transforms import Colour, Crop, Flip, ScaleJitter, SquarePad
from sam3model.errors import DataError
from sam3model.ops.masks import encode_rle, mask_to_box
from sam3model.ops.resize import preprocess
from sam3model.structures import VISUAL
from sam3model.text import Tokenizer
from tests.data.annotated_sets import SIZE, blob, small_coco, write_image

EVERYTHING = (
    ScaleJitter(0.5, 2.0, min_visible=0.2), Flip(0.5), Crop(0.4, 0.9, chance=0.7), SquarePad(), Colour(),
)  # fmt: skip


def annotation_of(mask: np.ndarray) -> Annotation:
    x0, y0, x1, y1 = map(float, mask_to_box(mask))
    return Annotation((x0, y0, x1, y1), read_segmentation(encode_rle(mask), SIZE))


def view_of(annotations: list[Annotation], **fields: bool) -> ImageView:
    return ImageView.whole(SIZE, np.array([one.box for one in annotations]).reshape(-1, 4), **fields)


def instance(annotation: Annotation, view: ImageView, side: int, *, masked: bool = True):
    """Visible fraction, box and mask of one annotation."""
    (fraction,), (box,), (mask,) = view.instances([annotation], side, masked=masked)
    return fraction, box, mask


def corners(box: np.ndarray, view: ImageView) -> np.ndarray:
    """Normalised cxcywh to xyxy in pixels of the view."""
    x, y, w, h = box * [view.width, view.height, view.width, view.height]
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


@given(seed=st.integers(0, 10**6), number=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_boxes_and_pixels_follow_the_transformed_masks(seed, number):
    mask = blob(number)
    annotation = annotation_of(mask)
    view, rng = view_of([annotation]), np.random.default_rng(seed)
    for transform in EVERYTHING[:-1]:
        view = transform(view, rng)
    side = 16
    fraction, box, small = instance(annotation, view, side)
    visible = view.mask(mask)
    assert visible.shape == (view.height, view.width)
    assert fraction == pytest.approx(visible.sum() / mask.sum())
    assert corners(box, view) == pytest.approx(np.array(mask_to_box(visible)), abs=1e-4)
    assert instance(annotation, view, side, masked=False)[1] == pytest.approx(box, abs=1e-6)
    # An image that is white inside the mask must be transformed like the mask.
    white = view.pixels(torch.from_numpy(mask).to(torch.uint8).expand(3, -1, -1) * 255, side)[0] > 0.01
    assert (white.numpy() == small).mean() > 0.95


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_boxes_without_segmentations_are_transformed_like_masks_that_fill_them(seed):
    x0, y0 = np.random.default_rng(seed).integers(0, 20, 2)
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0 : y0 + 8, x0 : x0 + 11] = True
    annotation = annotation_of(mask)
    view, rng = view_of([annotation]), np.random.default_rng(seed)
    for transform in EVERYTHING:
        view = transform(view, rng)
    fraction, box, _ = instance(annotation, view, 8)
    box_fraction, box_box, box_mask = instance(Annotation(annotation.box), view, 8)
    assert box_box == pytest.approx(box, abs=1e-5)
    assert box_fraction == pytest.approx(fraction, abs=1e-5)
    assert not box_mask.any()


def test_the_untransformed_view_is_the_predictors_input():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 30, 40), np.uint8))
    assert torch.equal(view_of([]).pixels(pixels, 16), preprocess(pixels, 16))
    flipped = Flip(1.0)(view_of([]), np.random.default_rng(0))
    assert torch.equal(flipped.pixels(pixels, 16), preprocess(pixels, 16).flip(-1))


def test_crops_show_an_instance_and_stay_inside_the_image():
    annotation = annotation_of(blob(3))
    for seed in range(50):
        view = Crop(0.3, 0.6, min_visible=0.5, chance=1.0)(view_of([annotation]), np.random.default_rng(seed))
        x0, y0, x1, y1 = view.window
        assert 0 <= x0 < x1 <= SIZE[0]
        assert 0 <= y0 < y1 <= SIZE[1]
        assert view.window == (0, 0, *SIZE) or view.visible_fractions()[0] >= 0.5


def test_images_with_position_phrases_are_not_cropped():
    view = view_of([annotation_of(blob(3))], keep_whole=True)
    assert Crop(0.3, 0.6, chance=1.0)(view, np.random.default_rng(0)) == view
    assert ScaleJitter(2.0, 3.0)(view, np.random.default_rng(0)) == view


def test_a_smaller_scale_puts_the_image_on_grey():
    view = ScaleJitter(0.5, 0.5)(view_of([]), np.random.default_rng(0))
    assert (view.width, view.height) == (80, 60)
    pixels = view.pixels(torch.zeros(3, 30, 40, dtype=torch.uint8), 80)
    assert (pixels < -0.9).float().mean() == pytest.approx(0.25, abs=0.02)
    assert (pixels.abs() < 0.01).float().mean() == pytest.approx(0.75, abs=0.05)
    assert SquarePad()(view_of([]), np.random.default_rng(0)).window == (0, -5, 40, 35)


def test_colour_jitter_changes_pixels_only():
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
def test_left_and_right_are_swapped_in_mirrored_phrases(phrase, other):
    assert mirrored(phrase) == other
    assert mirrored(other) == phrase


def test_position_words_are_recognised():
    assert mentions_position("the leftmost cup")
    assert mentions_position("second row in the middle")
    assert not mentions_position("bright copyright sign")


def annotated(**counts: int) -> AnnotatedImage:
    box = Annotation((0, 0, 5, 5))
    return AnnotatedImage(
        "r", Path("r"), SIZE, tuple(AnnotatedPhrase(name, (box,) * count) for name, count in counts.items())
    )


VOCABULARY = tuple("abcdefgh")


def drawn(sampler: QuerySampler, one: AnnotatedImage, times: int = 300):
    return [sampler.choose(one, VOCABULARY, np.random.default_rng(seed)) for seed in range(times)]


def test_negatives_are_absent_phrases_in_the_wanted_fraction():
    chosen = drawn(QuerySampler(phrases=5, negatives=0.4), annotated(a=1, b=2, c=1))
    every = [concept for concepts in chosen for concept in concepts]
    assert max(map(len, chosen)) <= 5
    assert sum(not one.annotations for one in every) / len(every) == pytest.approx(0.4, abs=0.05)
    assert {one.phrase for one in every if not one.annotations} == set("defgh")
    assert all(len({one.phrase for one in concepts}) == len(concepts) for concepts in chosen)


def test_all_phrases_are_used_if_they_fit():
    for chosen in drawn(QuerySampler(phrases=20, negatives=None), annotated(a=1, c=1), 5):
        assert sorted(one.phrase for one in chosen) == list(VOCABULARY)
        assert {one.phrase for one in chosen if one.annotations} == {"a", "c"}
    assert all(len(chosen) == 5 for chosen in drawn(QuerySampler(phrases=5, negatives=None), annotated(a=1), 5))


def test_an_image_without_annotations_gets_negatives_only():
    assert all(
        concepts and not any(one.annotations for one in concepts) for concepts in drawn(QuerySampler(), annotated())
    )


def test_only_phrases_known_to_be_absent_are_negatives():
    federated = replace(annotated(a=1), absent=("g",))
    unsure = replace(annotated(a=1, b=0))
    assert {one.phrase for chosen in drawn(QuerySampler(), federated) for one in chosen} == {"a", "g"}
    assert "b" not in {one.phrase for chosen in drawn(QuerySampler(), unsure) for one in chosen}


def test_half_of_the_negatives_are_hard_ones():
    sampler = QuerySampler(phrases=2, negatives=0.5, hard_negatives={"a": ["h", "alpaca"], "b": ["c"]})
    found = Counter(one.phrase for chosen in drawn(sampler, annotated(a=1)) for one in chosen if not one.annotations)
    assert (found["h"] + found["alpaca"]) / found.total() == pytest.approx(0.5, abs=0.12)
    federated = drawn(sampler, replace(annotated(a=1), absent=("b",)))
    assert "h" not in {
        one.phrase for chosen in federated for one in chosen
    }  # in the vocabulary, but not known to be absent here


def test_the_number_of_annotations_is_limited():
    chosen = drawn(QuerySampler(phrases=4, negatives=0.0, max_annotations=10), annotated(a=25, b=4, c=4))
    assert all(sum(len(one.annotations) for one in concepts) <= 10 for concepts in chosen)
    alone = drawn(QuerySampler(max_annotations=10), annotated(a=25), 1)[0][0]
    assert len(alone.annotations) == 10
    assert not alone.exhaustive


@pytest.fixture
def data(tmp_path) -> AnnotatedDataset:
    return read_coco(find_files(small_coco(tmp_path), "train"))


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if hasattr(value, "__dataclass_fields__"):
        return [tensor for item in fields(value) for tensor in flat(getattr(value, item.name))]
    return []


def test_batches_do_not_depend_on_the_number_of_workers(data):
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


def test_every_epoch_has_all_images_in_an_order_of_its_own(data):
    source = AnnotatedSource(data, size=16)
    epochs = [[source(6 * epoch + place).name for place in range(6)] for epoch in range(3)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    in_order = AnnotatedSource(data, size=16, shuffle=False)
    assert [in_order(index).name for index in range(7)] == [f"{n}.png" for n in (1, 2, 3, 4, 5, 6, 1)]


def test_phrases_of_mirrored_images_name_the_other_side(data):
    queries = AnnotatedSource(data, size=16, transforms=[Flip(1.0)], shuffle=False)(0).queries
    assert {query.phrase for query in queries} <= {"cat", "dog on the right", "bird", "cow animal"}


def test_exemplars_lie_on_instances_and_some_replace_the_phrase(data):
    source = AnnotatedSource(data, size=16, exemplars=1.0)
    queries = [query for index in range(12) for query in source(index).queries]
    given = [query for query in queries if query.exemplars is not None]
    assert {query.phrase == VISUAL for query in given} == {True, False}
    assert all(abs(query.boxes - query.exemplars).max(1).min() < 0.1 for query in given)


def test_the_number_of_masked_queries_is_limited(data):
    sampler = QuerySampler(negatives=0.0)
    queries = AnnotatedSource(data, sampler, size=32, mask_phrases=1, shuffle=False)(0).queries
    assert [bool(query.masks.any()) for query in queries] == [True, False]
    assert all((query.boxes[:, 2:] > 0).all() for query in queries)


def test_an_instance_that_is_mostly_cropped_off_is_left_out():
    half = AnnotatedPhrase("cat", (Annotation((0, 0, 10, 10)), Annotation((20, 0, 30, 10))))
    cut = replace(view_of([]), window=(8, 0, 40, 30), min_visible=0.5)
    source = AnnotatedSource(AnnotatedDataset("s", [annotated()], ()), size=16)
    query = source._query(half, cut, True, np.random.default_rng(0))
    assert query is not None
    assert len(query.boxes) == 1
    assert not query.exhaustive
    assert source._query(replace(half, annotations=half.annotations[:1]), cut, True, np.random.default_rng(0)) is None
    away = source._query(replace(half, annotations=(Annotation((0, 0, 8, 8)),)), cut, True, np.random.default_rng(0))
    assert away is not None
    assert away.exhaustive
    assert not len(away.boxes)


def test_unreadable_images_are_replaced_counted_and_logged(data, caplog):
    broken = data.images[2]
    broken.path.write_bytes(broken.path.read_bytes()[:60])
    write_image(data.images[3].path, size=(41, 30))
    source = AnnotatedSource(data, size=16, shuffle=False, broken=0.4)
    with caplog.at_level(logging.WARNING):
        names = [source(index).name for index in range(6)]
    assert not {"3.png", "4.png"} & set(names)
    assert len(names) == 6
    assert source.faults.counts() == {
        "image file is unreadable": 1,
        "image size differs from its annotations": 1,
    }
    assert "3.png" in caplog.text


def test_too_many_unreadable_images_raise_an_error(data):
    for one in data.images[:3]:
        one.path.write_text("not an image")
    source = AnnotatedSource(data, size=16, shuffle=False, broken=0.3)
    with pytest.raises(DataError, match=r"2 of 6 images .* are unusable, more than data.broken=0.3 allows"):
        [source(index) for index in range(6)]


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_are_one_line_even_from_a_worker(data, workers):
    for one in data.images:
        one.path.write_text("not an image")
    source = Sam3ImageDataset(AnnotatedSource(data, size=16, shuffle=False))
    with pytest.raises(DataError, match=r"^1 of 6 images of .* \(image file is unreadable: 1; the first is 1.png\)$"):
        next(stream(source, CachedTokenizer(Tokenizer(16)), batch=2, workers=workers))


def test_a_dataset_without_queries_raises_an_error(tmp_path):
    write_image(tmp_path / "1.png")
    empty = AnnotatedDataset("quiet.json", [replace(annotated(), path=tmp_path / "1.png")], ())
    with pytest.raises(DataError, match=r"quiet.json: 100 images in a row have no query left"):
        AnnotatedSource(empty, size=16)(0)


def test_a_leftover_worker_does_not_block_the_exit_of_the_process():
    code = (
        "import torch.utils.data as d\nfrom sam3model.data import dataset\ndataset.GRACE_S = 0.2\n"
        "loader = d.DataLoader(range(9), num_workers=1, worker_init_fn=dataset.quiet_worker)\n"
        "left = iter(loader)\nnext(left)\n"
        "type(left)._shutdown_workers = lambda _: None  # as when a traceback keeps the iterator alive\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
