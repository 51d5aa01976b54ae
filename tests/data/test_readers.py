"""COCO and SA-Co files as training data, valid and broken."""

import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.coco_dataset import read_coco
from sam3model.data.coco_file import CocoFile, class_phrase
from sam3model.data.dataset_layout import DatasetFiles, find_files, has_split
from sam3model.data.image_files import read_image
from sam3model.data.queries import collate
from sam3model.data.query_sampling import QuerySampler
from sam3model.data.saco_dataset import read_saco
from sam3model.data.segmentations import read_segmentation, to_rle
from sam3model.data.subsets import few, hold_out
from sam3model.errors import DataError
from sam3model.ops.masks import decode_rle, encode_rle
from tests.data.annotated_sets import SIZE, annotation, blob, image, small_coco, write, write_image


def phrases_of(annotated):
    return {one.phrase: one for one in annotated.phrases}


def one_image(tmp_path, annotations, **fields):
    write_image(tmp_path / "1.png")
    path = write(tmp_path / "file.json", [image(1, **fields)], annotations, ["cat", "dog"])
    return DatasetFiles(path, (tmp_path,))


def test_classes_become_phrases_and_all_classes_the_vocabulary(tmp_path):
    data = read_coco(find_files(small_coco(tmp_path), "train"))
    assert data.vocabulary == ("cat", "dog on the left", "bird", "cow animal")
    assert len(data) == 6
    first = phrases_of(data.images[0])
    assert set(first) == {"cat", "dog on the left"}
    assert first["cat"].exhaustive
    assert data.images[0].absent is None
    mask = decode_rle(to_rle(first["cat"].annotations[0].segmentation, SIZE))
    assert np.array_equal(mask, blob(1))


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("bow_(weapon)", "bow weapon"), ("traffic light", "traffic light"), ("__", "__"), ("a[b]_c", "a b c")],
)
def test_class_names_become_phrases(name, phrase):
    assert class_phrase(name) == phrase


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("train/_annotations.coco.json", "train"),
        ("annotations/instances_train.json", "images"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/lvis_v1_train.json", "images/train2017"),
        ("train/annotations_without_background.json", "train"),
        ("train_annotations_without_background.json", "."),
        ("train.json", "train"),
        ("annotations.json", "."),
    ],
)
def test_common_layouts_are_found(tmp_path, file, folder):
    write_image(tmp_path / folder / "1.png")
    write(tmp_path / file, [image(1)], [annotation(1, 1, 1)], ["cat"])
    assert read_coco(find_files(tmp_path, "train")).images[0].path.samefile(tmp_path / folder / "1.png")


def test_the_error_for_a_missing_dataset_says_what_to_do(tmp_path):
    small_coco(tmp_path / "actions")
    with pytest.raises(DataError, match=r"choose one, e.g. data.root=.*actions"):
        find_files(tmp_path, "train")
    with pytest.raises(DataError, match="no annotations for 'test'"):
        find_files(tmp_path / "actions", "test")
    with pytest.raises(DataError, match="is not a folder"):
        find_files(tmp_path / "nowhere", "train")
    assert not has_split(tmp_path / "actions", "val")


def test_the_root_category_of_roboflow_is_not_a_phrase(tmp_path):
    files = one_image(tmp_path, [annotation(1, 1, 1)])
    content = json.loads(files.annotations.read_text())
    content["categories"] = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "animals"},
    ]
    files.annotations.write_text(json.dumps(content))
    assert read_coco(files).vocabulary == ("cat",)


def test_federated_labels_tell_absent_and_unfinished_classes(tmp_path):
    write_image(tmp_path / "train2017" / "7.png")
    row = image(1, coco_url="http://images.cocodataset.org/train2017/7.png")
    del row["file_name"]
    row |= {"neg_category_ids": [3], "not_exhaustive_category_ids": [2]}
    rows = [annotation(1, 1, 1), annotation(2, 1, 2)]
    write(tmp_path / "lvis_v1_train.json", [row], rows, ["cat", "dog", "bird", "cow"])
    (annotated,) = read_coco(find_files(tmp_path, "train")).images
    assert annotated.absent == ("bird",)
    assert phrases_of(annotated)["cat"].exhaustive
    assert not phrases_of(annotated)["dog"].exhaustive


def test_a_crowd_is_skipped_and_leaves_its_class_unfinished(tmp_path):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation(2, 1, 1, iscrowd=1), annotation(3, 1, 2, iscrowd=1)])
    found = phrases_of(read_coco(files).images[0])
    assert len(found["cat"].annotations) == 1
    assert not found["cat"].exhaustive
    assert not found["dog"].annotations
    assert not found["dog"].exhaustive


WRONG_SIZE = encode_rle(np.ones((SIZE[1], SIZE[0] + 1), bool))
FAULTS = {
    "'bbox' has no area": {"bbox": [3, 3, 0, 5]},
    "'bbox' is not four finite numbers": {"bbox": [3, float("nan"), 2, 2]},
    "'bbox' is outside the image": {"bbox": [400, 3, 5, 5], "segmentation": []},
    "'segmentation' has another size than the image": {"segmentation": WRONG_SIZE},
    "RLE 'counts' do not add up to the image area": {"segmentation": {"size": [30, 40], "counts": [5, 5]}},
    "RLE 'counts' cannot be decoded": {"segmentation": {"size": [30, 40], "counts": "\x00!"}},
    "'segmentation' has no pixels": {"segmentation": {"size": [30, 40], "counts": [1200]}},
    "'segmentation' has a polygon with fewer than three points": {"segmentation": [[1, 2, 3, 4]]},
    "'segmentation' has a polygon point far outside the image": {"segmentation": [[1, 2, 3, 4, 1e9, 6]]},
    "'segmentation' has a polygon coordinate that is not a number": {"segmentation": [["a", 2, 3, 4, 5, 6]]},
    "'category_id' is not in the file": {"category_id": 77},
    "'image_id' is not in the file": {"image_id": 77},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_broken_annotations_are_counted_logged_and_skipped(tmp_path, kind, caplog):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation(13, 1, 1) | FAULTS[kind]])
    with caplog.at_level(logging.WARNING):
        data = read_coco(files, broken=0.5)
    assert data.faults.counts() == {kind: 1}
    assert "annotation 13" in caplog.text
    assert len(phrases_of(data.images[0])["cat"].annotations) == 1
    with pytest.raises(DataError, match=r"1 of 2 annotations of .* are unusable, more than data.broken=0.4 allows"):
        read_coco(files, broken=0.4)


@pytest.mark.parametrize("fields", [{"bbox": [0, 0, 10**400, 1]}, {"segmentation": {"size": 3, "counts": "1"}}])
def test_values_of_absurd_size_or_type_are_faults_too(tmp_path, fields):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation(13, 1, 1) | fields])
    assert len(read_coco(files, broken=0.5).faults) == 1


def test_a_strict_file_refuses_the_first_fault(tmp_path):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation(13, 1, 1, bbox=[0, 0, 0, 0])])
    file = CocoFile(files.annotations, strict=True)
    good, bad = file.annotations_by_image(file.categories())[1]
    assert file.annotation(good, SIZE) is not None
    with pytest.raises(DataError, match=r"file\.json: annotation 13: 'bbox' has no area$"):
        file.annotation(bad, SIZE)


def test_a_class_with_a_broken_annotation_is_not_exhaustive(tmp_path):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation(2, 1, 1, bbox=[0, 0, 0, 0]), annotation(3, 1, 2)])
    found = phrases_of(read_coco(files, broken=0.5).images[0])
    assert not found["cat"].exhaustive
    assert found["dog"].exhaustive


def test_missing_images_are_counted_and_too_many_raise_an_error(tmp_path):
    small_coco(tmp_path)
    (tmp_path / "train" / "2.png").unlink()
    data = read_coco(find_files(tmp_path, "train"), broken=0.2)
    assert len(data) == 5
    assert data.faults.counts() == {"image file is missing": 1}
    (tmp_path / "train" / "3.png").unlink()
    with pytest.raises(DataError, match="2 of 6 images"):
        read_coco(find_files(tmp_path, "train"), broken=0.2)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("'file_name' is missing", {"file_name": 3}),
        ("'id' is missing or not unique", {"id": [1]}),
        ("'id' is missing or not unique", {"id": 1}),
        ("'width' or 'height' is invalid", {"width": "wide"}),
        ("image file is missing", {"file_name": "no.png"}),
    ],
)
def test_broken_image_entries_are_counted_and_skipped(tmp_path, kind, fields):
    files = one_image(tmp_path, [annotation(1, 1, 1), annotation("x", 1, 2)])
    content = json.loads(files.annotations.read_text())
    content["images"].append(image(2) | {"file_name": "1.png"} | fields)
    files.annotations.write_text(json.dumps(content))
    data = read_coco(files, broken=0.5)
    assert data.faults.counts() == {kind: 1}
    assert [set(phrases_of(annotated)) for annotated in data.images] == [{"cat", "dog"}]


def test_annotations_without_an_id_are_counted_one_by_one(tmp_path):
    rows = [annotation(n, 1, 1, bbox=[0, 0, 0, 0]) for n in range(3)]
    for row in rows:
        del row["id"]
    assert len(read_coco(one_image(tmp_path, rows), broken=1.0).faults) == 3


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_value_in_any_field_is_read_or_refused(data, tmp_path_factory):
    """The result is a dataset, or a `DataError` of one line."""
    root = tmp_path_factory.mktemp("set")
    files = one_image(root, [annotation(1, 1, 1), annotation(2, 1, 2, blob(2)), annotation(3, 1, 2, blob(3))])
    content = json.loads(files.annotations.read_text())
    table = data.draw(st.sampled_from(["images", "annotations", "categories"]))
    row = data.draw(st.sampled_from(content[table]))
    field = data.draw(st.sampled_from([*row, "neg_category_ids", "coco_url", "is_instance_exhaustive", "text_input"]))
    scalars = st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=4)
    row[field] = data.draw(scalars | st.lists(scalars, max_size=5) | st.dictionaries(st.text(max_size=4), scalars))
    files.annotations.write_text(json.dumps(content))
    for read in (read_coco, read_saco):
        try:
            found = read(files, broken=1.0)
        except DataError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(phrase, str) for phrase in found.vocabulary)


def test_file_names_that_lead_out_of_the_folder_count_as_missing(tmp_path):
    write_image(tmp_path / "secret.png")
    files = one_image(tmp_path / "set", [annotation(1, 1, 1)], file_name="../secret.png")
    assert read_coco(files, broken=1.0).faults.counts() == {"image file is missing": 1}


@pytest.mark.parametrize("text", ["[1]", "{}", "{", '{"images": [], "annotations": 3, "categories": []}'])
def test_files_that_are_not_coco_are_refused_in_one_line(tmp_path, text):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"train\.json"):
        read_coco(find_files(tmp_path, "train"))


def test_boxes_are_clipped_to_the_image_and_need_no_segmentation(tmp_path):
    row = annotation(1, 1, 1, bbox=[-5, 10, 15, 100], segmentation=[])
    (annotated,) = read_coco(one_image(tmp_path, [row])).images
    (annotation_,) = annotated.phrases[0].annotations
    assert annotation_.box == (0, 10, 10, 30)
    assert annotation_.segmentation is None


def test_saco_pairs_are_grouped_by_image(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    pairs = [
        image(1, file_name="a.png", text_input="a cat", is_instance_exhaustive=1),
        image(2, file_name="a.png", text_input="a dog", is_instance_exhaustive=1),
        image(3, file_name="a.png", text_input="things", is_instance_exhaustive=0),
        image(4, file_name="a.png", text_input="unsure", is_instance_exhaustive=0),
    ]
    normal = [0.25, 0.5, 0.5, 0.25]
    rows = [annotation(1, 1, 1, blob(1), bbox=normal), annotation(2, 3, 1, segmentation=[], bbox=normal)]
    write(tmp_path / "train.json", pairs, rows, ["object"])
    data = read_saco(find_files(tmp_path, "train"))
    (annotated,) = data.images
    assert annotated.absent == ("a dog",)
    assert set(phrases_of(annotated)) == {"a cat", "things", "unsure"}
    assert phrases_of(annotated)["a cat"].exhaustive
    assert not phrases_of(annotated)["things"].exhaustive
    assert phrases_of(annotated)["things"].annotations[0].box == (10, 15, 30, 22.5)
    assert not phrases_of(annotated)["unsure"].annotations


@pytest.mark.parametrize(
    ("flags", "of_second", "pixels"),
    [
        ({}, {}, True),
        ({"is_instance_exhaustive": 0}, {}, False),
        ({"is_instance_exhaustive": 0, "is_pixel_exhaustive": 1}, {}, True),
        ({"is_pixel_exhaustive": 0}, {}, False),
        ({"is_pixel_exhaustive": 1}, {"iscrowd": 1}, False),
        ({"is_pixel_exhaustive": 1}, {"segmentation": []}, False),
    ],
)
def test_masks_may_be_exhaustive_where_instances_are_not(tmp_path, flags, of_second, pixels):
    write_image(tmp_path / "images" / "a.png")
    normal = [0.25, 0.5, 0.5, 0.25]
    rows = [annotation(1, 1, 1, blob(1), bbox=normal), annotation(2, 1, 1, blob(2), bbox=normal) | of_second]
    write(tmp_path / "train.json", [image(1, file_name="a.png", text_input="cats", **flags)], rows, ["object"])
    sample = AnnotatedSource(read_saco(find_files(tmp_path, "train")), QuerySampler(negatives=0.0), size=32)(0)
    targets = collate([sample], lambda phrases: torch.zeros(len(phrases), 4)).targets
    assert targets.is_exhaustive.tolist() == [flags.get("is_instance_exhaustive", 1) and "iscrowd" not in of_second]
    assert targets.pixels_known().tolist() == [pixels]


def test_all_kinds_of_rle_give_the_same_mask():
    mask = blob(5)
    code = encode_rle(mask)
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    runs = np.diff([0, *edges, flat.size]).tolist()
    split = [*runs[:2], 0, 0, *runs[2:]]
    for value in (code, code | {"counts": code["counts"].encode()}, code | {"counts": runs}, code | {"counts": split}):
        assert to_rle(read_segmentation(value, SIZE), SIZE)["counts"] == code["counts"].encode()


def test_images_are_rotated_only_if_their_annotations_are(tmp_path):
    from PIL import Image

    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.new("RGB", SIZE).save(path, exif=exif)
    assert read_image(path, SIZE).shape == (3, 30, 40)
    assert read_image(path, SIZE[::-1]).shape == (3, 40, 30)
    with pytest.raises(DataError, match="size differs"):
        read_image(path, (41, 30))


def test_transparent_parts_become_white(tmp_path):
    from PIL import Image

    Image.new("RGBA", SIZE, (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png", SIZE) == 255).all()


def test_held_out_images_and_shots_are_chosen_by_name(tmp_path):
    data = read_coco(find_files(small_coco(tmp_path, count=10), "train"))
    training, validation = hold_out(data, 0.2)
    names = [{annotated.name for annotated in one.images} for one in (training, validation)]
    assert len(names[1]) == 2
    assert not names[0] & names[1]
    one, five = ({annotated.name for annotated in few(training, count, 3).images} for count in (1, 5))
    assert one < five
    assert len(few(training, 50, 3)) == 8
