"""From settings to training and validation data."""

import pytest

from sam3model.data import subsets
from sam3model.errors import ConfigError, DataError
from sam3model.parse import parse
from sam3model.training.settings import TrainConfig
from sam3model.training.sources import AnnotatedSources, open_sources
from tests.data.annotated_sets import annotation, blob, boxes_only, image, one_class, small_coco, write, write_image


def opened(root, validation=None, **data: object) -> AnnotatedSources:
    values = {"data": {"source": "coco", "root": str(root), **data}, "validation": validation or {}}
    sources = open_sources(parse(TrainConfig, values).sized(256))
    assert isinstance(sources, AnnotatedSources)
    return sources


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"hard_negatives": {"dgo_on_the_left": ["wolf"]}},
         r"data\.hard_negatives: the data set has no 'dgo on the left'; did you mean 'dog on the left'\?"),
        ({"val_split": "tset"}, r"data\.val_split: .* no split 'tset'; did you mean 'test'\? .*val_annotations=FILE"),
    ],
)  # fmt: skip
def test_errors_about_missing_names_suggest_existing_ones(tmp_path, data, message):
    small_coco(tmp_path)
    small_coco(tmp_path, "test", count=2)
    with pytest.raises(ConfigError, match=message) as refusal:
        opened(tmp_path, **data)
    assert "\n" not in str(refusal.value)


def test_validation_splits_are_found_by_name_or_held_out(tmp_path):
    small_coco(tmp_path, count=10)
    small_coco(tmp_path, "test", count=3)
    choices = ({}, {"val_split": "test"}, {"val_split": "train"})
    sizes = [len(opened(tmp_path, **data).validation_set) for data in choices]
    assert sizes == [1, 3, 1]
    hard = opened(tmp_path, hard_negatives={"cow_(animal)": ["bull"], "cat": ["tiger_cub"]}).hard_negatives
    assert hard == {"cow animal": ["bull"], "cat": ["tiger cub"]}


@pytest.mark.parametrize(
    ("made", "data", "best", "constant"),
    [
        (small_coco, {}, "cgF1", None),
        (small_coco, {"masks": False}, "AP_with_absent", "cgF1"),
        (small_coco, {"negatives": 0.0}, "positive_micro_F1", "cgF1"),
        (boxes_only, {}, "AP_with_absent", "mean_IoU"),
        (one_class, {}, "cgF1", None),
        (one_class, {"absent_nouns": 0.0}, "positive_micro_F1", "cgF1"),
    ],
)
def test_the_best_weights_are_chosen_by_a_metric_that_is_not_constant(tmp_path, caplog, made, data, best, constant):
    made(tmp_path)
    with caplog.at_level("INFO"):
        assert opened(tmp_path, **data).metric == best
    assert f"the best weights are those with the highest {best}" in caplog.text
    assert opened(tmp_path, {"metric": "AP"}, **data).metric == "AP"
    if constant is None:
        assert opened(tmp_path, {"metric": "cgF1"}, **data).metric == "cgF1"
    else:
        with pytest.raises(ConfigError, match=rf"^validation.metric: {constant} is always 0 here, .*, or use {best}$"):
            opened(tmp_path, {"metric": constant}, **data)


@pytest.fixture
def truncated(tmp_path):
    """Six validation images; one is truncated, which only shows when it is read completely."""
    small_coco(tmp_path)
    small_coco(tmp_path, "val", count=6)
    file = tmp_path / "val" / "4.png"
    file.write_bytes(file.read_bytes()[:600])
    return tmp_path


def test_unreadable_validation_images_are_left_out_before_training(truncated):
    sources = opened(truncated, broken=0.2)
    assert len(sources.validation_set) == 5
    assert sources.validation_set.faults.counts() == {"image file is unreadable": 1}
    source, count = sources.validation()
    assert sorted(source(index).name for index in range(count)) == [f"{n}.png" for n in (1, 2, 3, 5, 6)]


def test_too_many_unreadable_validation_images_are_refused_before_training(truncated):
    with pytest.raises(DataError, match=r"1 of 6 images of .*val.* are unusable, more than data\.broken=0\.1 allows"):
        opened(truncated, broken=0.1)


def test_only_the_validation_images_in_use_are_read(truncated, monkeypatch):
    seen = list[str]()
    monkeypatch.setattr(subsets, "read_image", lambda path, size: seen.append(path.name))
    sources = opened(truncated, {"images": 2})
    assert seen == [record.name for record in sources.validation_set.images[:2]]
    assert len(sources.validation_set) == 6


def test_a_validation_file_of_any_name_can_be_given(tmp_path):
    for number in (1, 2, 3):
        write_image(tmp_path / "photos" / f"{number}.png", number)
        write_image(tmp_path / "later" / f"{number}.png", number)
    for name, numbers in (("mine.json", (1, 2)), ("checked.json", (3,))):
        rows = [annotation(number, number, 1, blob(number)) for number in numbers]
        write(tmp_path / name, [image(number) for number in numbers], rows, ["cat"])
    files = {"annotations": "mine.json", "images": "photos", "val_annotations": "checked.json"}
    sources = opened(tmp_path, **files)
    assert [len(sources.training_set), len(sources.validation_set)] == [2, 1]
    assert sources.validation_set.images[0].path.parent.name == "photos"
    assert opened(tmp_path, **files, val_images="later").validation_set.images[0].path.parent.name == "later"
