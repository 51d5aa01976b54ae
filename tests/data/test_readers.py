"""COCO-format and SA-Co files as training reads them, whole and broken."""

import json
import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3model.data.annotated import AnnotatedSource
from sam3model.data.asking import Asking
from sam3model.data.coco import class_phrase, read_coco
from sam3model.data.layout import Place, find, has_split
from sam3model.data.parts import few, hold_out
from sam3model.data.pictures import read_picture
from sam3model.data.queries import collate
from sam3model.data.saco import read_saco
from sam3model.data.segments import read_segmentation, to_rle
from sam3model.errors import DataError
from sam3model.ops.masks import decode_rle, encode_rle
from tests.data.annotated_sets import SIZE, annotation, blob, image, picture, small_coco, write


def concepts(record):
    return {concept.phrase: concept for concept in record.concepts}


def one_picture(tmp_path, annotations, **fields):
    picture(tmp_path / "1.png")
    path = write(tmp_path / "file.json", [image(1, **fields)], annotations, ["cat", "dog"])
    return Place(path, (tmp_path,))


def test_classes_become_phrases_and_absent_ones_are_left_to_the_vocabulary(tmp_path):
    data = read_coco(find(small_coco(tmp_path), "train"))
    assert data.vocabulary == ("cat", "dog on the left", "bird", "cow animal")
    assert len(data) == 6
    first = concepts(data.records[0])
    assert set(first) == {"cat", "dog on the left"}
    assert first["cat"].exhaustive
    assert data.records[0].absent is None
    mask = decode_rle(to_rle(first["cat"].things[0].segmentation, SIZE))
    assert np.array_equal(mask, blob(1))


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("bow_(weapon)", "bow weapon"), ("traffic light", "traffic light"), ("__", "__"), ("a[b]_c", "a b c")],
)
def test_class_names_are_cleaned(name, phrase):
    assert class_phrase(name) == phrase


@pytest.mark.parametrize(
    ("file", "pictures"),
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
def test_usual_layouts_are_found(tmp_path, file, pictures):
    picture(tmp_path / pictures / "1.png")
    write(tmp_path / file, [image(1)], [annotation(1, 1, 1)], ["cat"])
    assert read_coco(find(tmp_path, "train")).records[0].path.samefile(tmp_path / pictures / "1.png")


def test_where_to_look_is_said_when_nothing_is_found(tmp_path):
    small_coco(tmp_path / "actions")
    with pytest.raises(DataError, match=r"name one of them, as data.root=.*actions"):
        find(tmp_path, "train")
    with pytest.raises(DataError, match="no annotations for 'test'"):
        find(tmp_path / "actions", "test")
    with pytest.raises(DataError, match="is no folder"):
        find(tmp_path / "nowhere", "train")
    assert not has_split(tmp_path / "actions", "val")


def test_the_root_category_of_roboflow_is_no_phrase(tmp_path):
    place = one_picture(tmp_path, [annotation(1, 1, 1)])
    content = json.loads(place.annotations.read_text())
    content["categories"] = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "animals"},
    ]
    place.annotations.write_text(json.dumps(content))
    assert read_coco(place).vocabulary == ("cat",)


def test_federated_labels_say_what_is_absent_and_what_is_unfinished(tmp_path):
    picture(tmp_path / "train2017" / "7.png")
    row = image(1, coco_url="http://images.cocodataset.org/train2017/7.png")
    del row["file_name"]
    row |= {"neg_category_ids": [3], "not_exhaustive_category_ids": [2]}
    things = [annotation(1, 1, 1), annotation(2, 1, 2)]
    write(tmp_path / "lvis_v1_train.json", [row], things, ["cat", "dog", "bird", "cow"])
    (record,) = read_coco(find(tmp_path, "train")).records
    assert record.absent == ("bird",)
    assert concepts(record)["cat"].exhaustive
    assert not concepts(record)["dog"].exhaustive


def test_a_crowd_is_no_thing_but_leaves_its_class_unfinished(tmp_path):
    place = one_picture(tmp_path, [annotation(1, 1, 1), annotation(2, 1, 1, iscrowd=1), annotation(3, 1, 2, iscrowd=1)])
    found = concepts(read_coco(place).records[0])
    assert len(found["cat"].things) == 1
    assert not found["cat"].exhaustive
    assert not found["dog"].things
    assert not found["dog"].exhaustive


WRONG_SIZE = encode_rle(np.ones((SIZE[1], SIZE[0] + 1), bool))
FAULTS = {
    "empty annotation: a box without an area": {"bbox": [3, 3, 0, 5]},
    "annotation without a box of four numbers": {"bbox": [3, float("nan"), 2, 2]},
    "box outside of the picture": {"bbox": [400, 3, 5, 5], "segmentation": []},
    "mask of another size than the picture": {"segmentation": WRONG_SIZE},
    "mask whose runs do not fill the picture": {"segmentation": {"size": [30, 40], "counts": [5, 5]}},
    "mask without a readable run-length code": {"segmentation": {"size": [30, 40], "counts": "\x00!"}},
    "mask without a pixel": {"segmentation": {"size": [30, 40], "counts": [1200]}},
    "polygon without three corners": {"segmentation": [[1, 2, 3, 4]]},
    "polygon with a corner far outside of the picture": {"segmentation": [[1, 2, 3, 4, 1e9, 6]]},
    "polygon that holds something else than numbers": {"segmentation": [["a", 2, 3, 4, 5, 6]]},
    "annotation of a class that the file has not": {"category_id": 77},
    "annotation of a picture that the file has not": {"image_id": 77},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_broken_annotations_are_counted_named_and_skipped(tmp_path, kind, caplog):
    place = one_picture(tmp_path, [annotation(1, 1, 1), annotation(13, 1, 1) | FAULTS[kind]])
    with caplog.at_level(logging.WARNING):
        data = read_coco(place, broken=0.5)
    assert data.faults.counts() == {kind: 1}
    assert "annotation 13" in caplog.text
    assert len(concepts(data.records[0])["cat"].things) == 1
    with pytest.raises(DataError, match=r"1 of 2 annotations of .* are broken, more than data.broken=0.4 allows"):
        read_coco(place, broken=0.4)


def test_a_class_with_a_broken_annotation_is_not_exhaustive(tmp_path):
    place = one_picture(tmp_path, [annotation(1, 1, 1), annotation(2, 1, 1, bbox=[0, 0, 0, 0]), annotation(3, 1, 2)])
    found = concepts(read_coco(place, broken=0.5).records[0])
    assert not found["cat"].exhaustive
    assert found["dog"].exhaustive


def test_missing_pictures_are_counted_and_too_many_are_an_error(tmp_path):
    small_coco(tmp_path)
    (tmp_path / "train" / "2.png").unlink()
    data = read_coco(find(tmp_path, "train"), broken=0.2)
    assert len(data) == 5
    assert data.faults.counts() == {"picture that is missing": 1}
    (tmp_path / "train" / "3.png").unlink()
    with pytest.raises(DataError, match="2 of 6 pictures"):
        read_coco(find(tmp_path, "train"), broken=0.2)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("picture without a file name", {"file_name": 3}),
        ("picture without an id of its own", {"id": [1]}),
        ("picture without an id of its own", {"id": 1}),
        ("picture without a width and a height", {"width": "wide"}),
        ("picture that is missing", {"file_name": "no.png"}),
    ],
)
def test_broken_entries_of_pictures_are_counted_and_skipped(tmp_path, kind, fields):
    place = one_picture(tmp_path, [annotation(1, 1, 1), annotation("x", 1, 2)])
    content = json.loads(place.annotations.read_text())
    content["images"].append(image(2) | {"file_name": "1.png"} | fields)
    place.annotations.write_text(json.dumps(content))
    data = read_coco(place, broken=0.5)
    assert data.faults.counts() == {kind: 1}
    assert [set(concepts(record)) for record in data.records] == [{"cat", "dog"}]


def test_annotations_without_an_id_are_counted_one_by_one(tmp_path):
    rows = [annotation(n, 1, 1, bbox=[0, 0, 0, 0]) for n in range(3)]
    for row in rows:
        del row["id"]
    assert len(read_coco(one_picture(tmp_path, rows), broken=1.0).faults) == 3


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_field_of_a_file_can_break_the_reader(data, tmp_path_factory):
    """Any field of any row may hold anything: what is left is a set that can be read, or a refusal in one line."""
    root = tmp_path_factory.mktemp("set")
    place = one_picture(root, [annotation(1, 1, 1), annotation(2, 1, 2, blob(2)), annotation(3, 1, 2, blob(3))])
    content = json.loads(place.annotations.read_text())
    table = data.draw(st.sampled_from(["images", "annotations", "categories"]))
    row = data.draw(st.sampled_from(content[table]))
    field = data.draw(st.sampled_from([*row, "neg_category_ids", "coco_url", "is_instance_exhaustive", "text_input"]))
    scalars = st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=4)
    row[field] = data.draw(scalars | st.lists(scalars, max_size=5) | st.dictionaries(st.text(max_size=4), scalars))
    place.annotations.write_text(json.dumps(content))
    for read in (read_coco, read_saco):
        try:
            found = read(place, broken=1.0)
        except DataError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(phrase, str) for phrase in found.vocabulary)


def test_names_that_lead_out_of_the_folder_are_missing_pictures(tmp_path):
    picture(tmp_path / "secret.png")
    place = one_picture(tmp_path / "set", [annotation(1, 1, 1)], file_name="../secret.png")
    assert read_coco(place, broken=1.0).faults.counts() == {"picture that is missing": 1}


@pytest.mark.parametrize("text", ["[1]", "{}", "{", '{"images": [], "annotations": 3, "categories": []}'])
def test_files_that_are_no_annotations_are_refused_in_a_line(tmp_path, text):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"train\.json"):
        read_coco(find(tmp_path, "train"))


def test_boxes_are_clipped_to_the_picture_and_need_no_outline(tmp_path):
    row = annotation(1, 1, 1, bbox=[-5, 10, 15, 100], segmentation=[])
    (record,) = read_coco(one_picture(tmp_path, [row])).records
    (thing,) = record.concepts[0].things
    assert thing.box == (0, 10, 10, 30)
    assert thing.segmentation is None


def test_saco_pairs_are_gathered_by_picture(tmp_path):
    picture(tmp_path / "images" / "a.png")
    pairs = [
        image(1, file_name="a.png", text_input="a cat", is_instance_exhaustive=1),
        image(2, file_name="a.png", text_input="a dog", is_instance_exhaustive=1),
        image(3, file_name="a.png", text_input="things", is_instance_exhaustive=0),
        image(4, file_name="a.png", text_input="unsure", is_instance_exhaustive=0),
    ]
    normal = [0.25, 0.5, 0.5, 0.25]
    things = [annotation(1, 1, 1, blob(1), bbox=normal), annotation(2, 3, 1, segmentation=[], bbox=normal)]
    write(tmp_path / "train.json", pairs, things, ["object"])
    data = read_saco(find(tmp_path, "train"))
    (record,) = data.records
    assert record.absent == ("a dog",)
    assert set(concepts(record)) == {"a cat", "things", "unsure"}
    assert concepts(record)["a cat"].exhaustive
    assert not concepts(record)["things"].exhaustive
    assert concepts(record)["things"].things[0].box == (10, 15, 30, 22.5)
    assert not concepts(record)["unsure"].things


@pytest.mark.parametrize(
    ("flags", "of_things", "pixels"),
    [
        ({}, {}, True),
        ({"is_instance_exhaustive": 0}, {}, False),
        ({"is_instance_exhaustive": 0, "is_pixel_exhaustive": 1}, {}, True),
        ({"is_pixel_exhaustive": 0}, {}, False),
        ({"is_pixel_exhaustive": 1}, {"iscrowd": 1}, False),
        ({"is_pixel_exhaustive": 1}, {"segmentation": []}, False),
    ],
)
def test_what_every_pixel_is_may_be_known_where_things_are_not(tmp_path, flags, of_things, pixels):
    picture(tmp_path / "images" / "a.png")
    normal = [0.25, 0.5, 0.5, 0.25]
    things = [annotation(1, 1, 1, blob(1), bbox=normal), annotation(2, 1, 1, blob(2), bbox=normal) | of_things]
    write(tmp_path / "train.json", [image(1, file_name="a.png", text_input="cats", **flags)], things, ["object"])
    sample = AnnotatedSource(read_saco(find(tmp_path, "train")), Asking(negatives=0.0), size=32)(0)
    targets = collate([sample], lambda phrases: torch.zeros(len(phrases), 4)).targets
    assert targets.is_exhaustive.tolist() == [flags.get("is_instance_exhaustive", 1) and "iscrowd" not in of_things]
    assert targets.pixels_known().tolist() == [pixels]


def test_run_length_codes_of_every_kind_are_the_same_mask():
    mask = blob(5)
    code = encode_rle(mask)
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False)).tolist()
    runs = np.diff([0, *edges, flat.size]).tolist()
    split = [*runs[:2], 0, 0, *runs[2:]]
    for value in (code, code | {"counts": code["counts"].encode()}, code | {"counts": runs}, code | {"counts": split}):
        assert to_rle(read_segmentation(value, SIZE), SIZE)["counts"] == code["counts"].encode()


def test_pictures_are_turned_only_where_the_annotations_were(tmp_path):
    from PIL import Image

    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", SIZE).save(path, exif=exif)
    assert read_picture(path, SIZE).shape == (3, 30, 40)
    assert read_picture(path, SIZE[::-1]).shape == (3, 40, 30)
    with pytest.raises(DataError, match="another size"):
        read_picture(path, (41, 30))


def test_transparent_parts_are_white(tmp_path):
    from PIL import Image

    Image.new("RGBA", SIZE, (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", SIZE) == 255).all()


def test_pictures_are_held_out_and_drawn_by_their_names(tmp_path):
    data = read_coco(find(small_coco(tmp_path, pictures=10), "train"))
    learnt, judged = hold_out(data, 0.2)
    names = [{record.name for record in part.records} for part in (learnt, judged)]
    assert len(names[1]) == 2
    assert not names[0] & names[1]
    one, five = ({record.name for record in few(learnt, count, 3).records} for count in (1, 5))
    assert one < five
    assert len(few(learnt, 50, 3)) == 8
