"""COCO files as tools write them: every form of a field that has one reading gives the same data set."""

import json
import shutil

import numpy as np
import pytest

from sam3model.data.coco_dataset import read_coco
from sam3model.data.dataset_layout import DatasetFiles
from sam3model.data.segmentations import read_segmentation, to_rle
from sam3model.errors import DataError
from tests.data.annotated_sets import SIZE, image, write, write_image

W, H = SIZE
BOXES = [(3, 4, 20, 12), (12, 9, 15, 18), (25, 14, 10, 9), (18, 2, 20, 25)]


def outline(box):
    x, y, w, h = box
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def rows():
    return [
        {"id": n, "image_id": n, "category_id": 1, "iscrowd": 0, "bbox": list(box), "segmentation": outline(box)}
        for n, box in enumerate(BOXES, 1)
    ]


def dataset(tmp_path, annotations=None, images=None, classes=("cat",), encoding="utf-8"):
    for number in range(1, 5):
        write_image(tmp_path / f"{number}.png", number)
    images = [image(number) for number in range(1, 5)] if images is None else images
    path = write(tmp_path / "file.json", images, rows() if annotations is None else annotations, list(classes))
    path.write_bytes(json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode(encoding))
    return DatasetFiles(path, (tmp_path,))


def boxes_of(data):
    return [phrase.annotations[0].box for one in data.images for phrase in one.phrases]


TRUE = [(x, y, x + w, y + h) for x, y, w, h in BOXES]


def changed(change):
    found = rows()
    for row in found:
        change(row)
    return found


def as_corners(row):
    x, y, w, h = row["bbox"]
    row["bbox"] = [x, y, x + w, y + h]


def as_fractions(row):
    x, y, w, h = row["bbox"]
    row["bbox"] = [x / W, y / H, w / W, h / H]


def small_outline(row):
    row["segmentation"] = [[place / (W, H)[n % 2] for n, place in enumerate(row["segmentation"][0])]]


def as_corner_fractions(row):
    as_corners(row)
    as_fractions(row)


def as_centre(row):
    x, y, w, h = row["bbox"]
    row["bbox"] = [x + w / 2, y + h / 2, w, h]


def as_centre_fractions(row):
    as_centre(row)
    as_fractions(row)


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        (as_corners, "x0, y0, x1, y1"),
        (as_fractions, "fractions of the image size"),
        (as_corner_fractions, "x0, y0, x1, y1 in fractions"),
        (as_centre, "centre x, centre y"),
        (as_centre_fractions, "centre x, centre y, width, height in fractions"),
    ],
)
def test_boxes_in_another_form_are_named_and_read_as_their_outlines_show(tmp_path, change, looks):
    data = read_coco(dataset(tmp_path, changed(change)))
    (note,) = data.notes
    assert looks in note
    assert "of 4 boxes do not fit their outlines" in note
    assert np.allclose(boxes_of(data), TRUE)


def test_outlines_in_fractions_beside_boxes_in_pixels_are_refused(tmp_path):
    with pytest.raises(DataError, match="the outlines look like fractions"):
        read_coco(dataset(tmp_path, changed(small_outline)))


def test_one_box_that_does_not_fit_is_named_and_changes_nothing(tmp_path):
    found = rows()
    found[2]["bbox"] = [0, 0, 4, 4]
    data = read_coco(dataset(tmp_path, found))
    assert data.notes == (
        "1 of 4 boxes do not fit their outlines (the first is annotation 3): check how they were exported",
    )
    assert np.allclose(boxes_of(data), [*TRUE[:2], (0, 0, 4, 4), TRUE[3]])


def test_boxes_that_fit_need_no_note(tmp_path):
    assert read_coco(dataset(tmp_path)).notes == ()


def test_without_outlines_fractions_are_refused_and_corners_warned_about(tmp_path):
    def bare(change):
        return changed(lambda row: (change(row), row.update(segmentation=[])))

    with pytest.raises(DataError, match=r"file\.json: the boxes look like fractions of the image size"):
        read_coco(dataset(tmp_path, bare(as_fractions)))
    with pytest.raises(DataError, match="look like fractions"):
        read_coco(dataset(tmp_path, changed(lambda row: (as_fractions(row), small_outline(row)))))
    (note,) = read_coco(dataset(tmp_path, bare(as_corners))).notes
    assert "look like x0, y0, x1, y1" in note


def point_pairs(row):
    (flat,) = row["segmentation"]
    row["segmentation"] = [[[flat[i], flat[i + 1]] for i in range(0, len(flat), 2)]]


def points_alone(row):
    point_pairs(row)
    (row["segmentation"],) = row["segmentation"]


def named_points(row):
    points_alone(row)
    row["segmentation"] = [{"x": x, "y": y} for x, y in row["segmentation"]]


def text_in_segmentation(row):
    row["segmentation"] = [list(map(str, row["segmentation"][0]))]


def separate_lists(row):
    (flat,) = row["segmentation"]
    row["segmentation"] = {"all_points_x": flat[::2], "all_points_y": flat[1::2]}


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(segmentation=row["segmentation"][0]),
        lambda row: row.update(segmentation=[row["segmentation"]]),
        lambda row: row.update(segmentation=[to_rle(read_segmentation(row["segmentation"], SIZE), SIZE)]),
        point_pairs,
        points_alone,
        named_points,
        separate_lists,
        text_in_segmentation,
    ],
)
def test_outlines_may_be_nested_in_any_way(change):
    for row in rows():
        expected = to_rle(read_segmentation(row["segmentation"], SIZE), SIZE)
        change(row)
        assert to_rle(read_segmentation(row["segmentation"], SIZE), SIZE) == expected


@pytest.mark.parametrize("bad", [[1, 1, 2, 2], [], [1], ["a", 1, 2, 3, 4, 5], [0, 0, 1e9, 0, 1e9, 1e9], None, "x"])
def test_one_bad_polygon_among_good_ones_is_left_out_and_counted(tmp_path, bad):
    data = read_coco(dataset(tmp_path, changed(lambda row: row["segmentation"].append(bad))))
    assert not len(data.faults)
    assert len(data.repairs) == 4
    assert all(len(phrase.annotations[0].segmentation) == 1 for one in data.images for phrase in one.phrases)


@pytest.mark.parametrize("value", ["x", 3, [["a"] * 6], [[[[[[[[1, 2]]]]]]]], {"x": 3}, [{}], [[1, 2], [3, 4]]])
def test_what_is_no_outline_is_refused_with_a_reason(value):
    with pytest.raises(DataError, match="'segmentation'"):
        read_segmentation(value, SIZE)


@pytest.mark.parametrize("bbox", ["absent", None, [], ""])
def test_a_missing_box_is_that_of_the_outline(tmp_path, bbox):
    found = changed(lambda row: row.pop("bbox") if bbox == "absent" else row.update(bbox=bbox))
    for masks in (True, False):
        data = read_coco(dataset(tmp_path, found), masks=masks)
        assert boxes_of(data) == TRUE
        assert data.repairs.counts() == {"'bbox' is missing: taken from the outline": 4}


def retyped(kind):
    def change(row):
        for name in ("id", "image_id", "category_id", "width", "height"):
            if name in row:
                row[name] = kind(row[name])
        if "bbox" in row:
            row["bbox"] = list(map(kind, row["bbox"]))

    return change


@pytest.mark.parametrize("kind", [float, str, lambda value: str(float(value))], ids=["float", "text", "float text"])
@pytest.mark.parametrize("tables", [("images",), ("annotations",), ("images", "annotations")])
def test_numbers_may_be_floats_or_text(tmp_path, kind, tables):
    found, images = rows(), [image(number) for number in range(1, 5)]
    for row in (images if "images" in tables else []) + (found if "annotations" in tables else []):
        retyped(kind)(row)
    data = read_coco(dataset(tmp_path, found, images))
    assert boxes_of(data) == TRUE
    assert [one.size for one in data.images] == [SIZE] * 4
    assert not len(data.faults)


def test_a_flag_in_text_is_a_flag(tmp_path):
    found = rows()
    found[0]["iscrowd"], found[1]["iscrowd"] = "0", "1"
    data = read_coco(dataset(tmp_path, found))
    assert [len(one.phrases[0].annotations) for one in data.images] == [1, 0, 1, 1]


@pytest.mark.parametrize("size", [{}, {"width": None, "height": None}, {"width": 0, "height": 0}, {"width": ""}])
def test_a_missing_size_is_read_from_the_image(tmp_path, size):
    images = [{"id": number, "file_name": f"{number}.png", **size} for number in range(1, 5)]
    data = read_coco(dataset(tmp_path, images=images))
    assert [one.size for one in data.images] == [SIZE] * 4
    assert data.repairs.counts() == {"'width' and 'height' are missing: read from the image": 4}


@pytest.mark.parametrize(
    "name",
    [
        "images\\{}.png", "images/{}.png", "C:\\work\\set\\{}.png", "/home/me/set/images/{}.png", "../images/{}.png",
        "./{}.png", "https://host.example/a%20b/{}.png?key=1", "{}%2Epng",
    ],
)  # fmt: skip
def test_images_are_found_without_the_folders_in_their_names(tmp_path, name):
    images = [image(number, file_name=name.format(number)) for number in range(1, 5)]
    data = read_coco(dataset(tmp_path, images=images))
    assert [one.path for one in data.images] == [tmp_path / f"{number}.png" for number in range(1, 5)]


def test_a_folder_in_a_name_is_followed_where_it_exists(tmp_path):
    write_image(tmp_path / "b" / "1.png", 9)
    data = read_coco(dataset(tmp_path, images=[image(1, file_name="b\\1.png"), image(2, file_name="1.png")]), broken=1)
    assert [one.path for one in data.images] == [tmp_path / "b" / "1.png", tmp_path / "1.png"]


def test_no_image_stands_for_two(tmp_path):
    """A bare file name that another row has, or that two rows lead to, is not guessed."""
    names = ["1.png", "other/1.png", "a/2.png", "b/2.png"]
    images = [image(number, file_name=name) for number, name in enumerate(names, 1)]
    data = read_coco(dataset(tmp_path, images=images), broken=1)
    assert [one.name for one in data.images] == ["1.png", "a/2.png"]
    assert data.faults.counts() == {"image file is missing": 2}


def test_either_form_of_an_accent_in_a_file_name_is_found(tmp_path):
    write_image(tmp_path / "e\u0301te\u0301.png")
    data = read_coco(dataset(tmp_path, images=[image(1, file_name="\u00e9t\u00e9.png")]), broken=1)
    assert len(data) == 1


def test_classes_that_read_the_same_are_one_phrase_and_it_is_said(tmp_path):
    found = rows()
    for number, row in enumerate(found, 1):
        row["category_id"] = number
    data = read_coco(dataset(tmp_path, found, classes=("Traffic Light", "traffic_light", "traffic  light", "dog")))
    assert data.vocabulary == ("Traffic Light", "dog")
    assert [one.phrases[0].phrase for one in data.images] == ["Traffic Light"] * 3 + ["dog"]
    (note,) = data.notes
    assert "'Traffic Light', 'traffic_light', 'traffic  light'" in note


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_of_other_encodings_are_read(tmp_path, encoding):
    assert read_coco(dataset(tmp_path, classes=("café",), encoding=encoding)).vocabulary == ("café",)


def test_only_regular_files_are_opened(tmp_path):
    import os

    files = dataset(tmp_path)
    files.annotations.unlink()
    os.mkfifo(files.annotations)
    with pytest.raises(DataError, match="not a regular file"):
        read_coco(files)
    files.annotations.unlink()
    files.annotations.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="not a regular file"):
        read_coco(files)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_outlines_in_fractions_without_boxes_are_refused(tmp_path):
    def alone(row):
        row["segmentation"] = [[place / (H if odd % 2 else W) for odd, place in enumerate(row["segmentation"][0])]]
        row["bbox"] = []

    with pytest.raises(DataError, match=r"outlines look like fractions"):
        read_coco(dataset(tmp_path, changed(alone)))


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "\x1b"])
def test_a_class_without_a_name_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="'name' is empty"):
        read_coco(dataset(tmp_path, classes=(name,)))


def test_names_are_cleaned_and_may_be_numbers(tmp_path):
    assert read_coco(dataset(tmp_path, classes=("c\u200ba\u202et\x1b",))).vocabulary == ("cat",)
    assert read_coco(dataset(tmp_path, classes=(7,))).vocabulary == ("7",)


def test_two_classes_with_one_id_are_refused(tmp_path):
    files = dataset(tmp_path, classes=("cat", "dog"))
    content = json.loads(files.annotations.read_text())
    content["categories"][1]["id"] = 1
    files.annotations.write_text(json.dumps(content))
    with pytest.raises(DataError, match="category 1 is 'cat' and 'dog'; give each class an id of its own"):
        read_coco(files)
    content["categories"][1] = content["categories"][0]
    files.annotations.write_text(json.dumps(content))
    assert read_coco(files).vocabulary == ("cat",)


def test_an_image_listed_for_each_annotation_is_one_image(tmp_path):
    images = [image(1, file_name="1.png"), image(2, file_name="1.png"), image(3), image(4)]
    found = rows()
    found[1]["category_id"] = 2
    data = read_coco(dataset(tmp_path, found, images, classes=("cat", "dog")))
    assert [one.name for one in data.images] == ["1.png", "3.png", "4.png"]
    assert {one.phrase: len(one.annotations) for one in data.images[0].phrases} == {"cat": 1, "dog": 1}
    assert data.repairs.counts() == {"image listed more than once: its annotations are joined": 1}


def test_an_object_that_every_row_of_its_image_has_counts_once(tmp_path):
    images = [image(1, file_name="1.png"), image(2, file_name="1.png"), image(3), image(4)]
    found = rows()
    copy = {**found[0], "id": 9, "image_id": 2, "bbox": [float(number) for number in found[0]["bbox"]]}
    other_class = {**copy, "id": 10, "category_id": 2}
    other_outline = {**copy, "id": 11, "segmentation": [[3, 4, 23, 4, 3, 16]]}
    data = read_coco(dataset(tmp_path, [*found, copy, other_class, other_outline], images, classes=("cat", "dog")))
    assert {one.phrase: len(one.annotations) for one in data.images[0].phrases} == {"cat": 3, "dog": 1}
    assert data.repairs.counts() == {
        "image listed more than once: its annotations are joined": 1,
        "given again by another row of its image: the copy is left out": 1,
    }
    alone = read_coco(dataset(tmp_path, [*found, {**found[0], "id": 9}]))
    assert not alone.repairs


def test_lists_of_classes_of_an_image_listed_twice_are_joined(tmp_path):
    lists = {"neg_category_ids": [2, 3], "not_exhaustive_category_ids": []}
    images = [image(1, file_name="1.png", **lists), image(2, file_name="1.png", **lists), image(3, **lists)]
    found = rows()[:3]
    found[1]["category_id"] = 2
    first = read_coco(dataset(tmp_path, found, images, classes=("cat", "dog", "bird"))).images[0]
    assert {one.phrase for one in first.phrases} == {"cat", "dog"}
    assert first.absent == ("bird",)


def test_an_annotation_that_is_there_twice_counts_once(tmp_path):
    twice = dataset(tmp_path, [*rows(), *rows()])
    found = read_coco(twice)
    assert boxes_of(found) == TRUE
    assert sum(len(phrase.annotations) for one in found.images for phrase in one.phrases) == len(TRUE)
    assert found.repairs.counts() == {"given twice: the copy is left out": 4}
    other = [{**row, "bbox": [1, 1, 9, 9], "segmentation": []} for row in rows()]
    assert (
        sum(len(p.annotations) for one in read_coco(dataset(tmp_path, [*rows(), *other])).images for p in one.phrases)
        == 8
    )


def test_small_and_capital_letters_in_file_names_are_alike_at_last(tmp_path):
    images = [image(number) | {"file_name": f"Images/{number}.PNG"} for number in range(1, 5)]
    found = read_coco(dataset(tmp_path, images=images))
    assert [one.path.name for one in found.images] == ["1.png", "2.png", "3.png", "4.png"]
    both = [image(1), image(2) | {"file_name": "1.PNG"}, image(3), image(4)]
    with pytest.raises(DataError, match="missing"):
        read_coco(dataset(tmp_path, images=both), broken=0)


def test_a_file_that_goes_on_in_another_is_warned_about(tmp_path):
    """As `sam3agent label` writes very large data sets."""
    files = dataset(tmp_path)
    for number, notes in ((12, 0), (2, 1)):
        shutil.copy(files.annotations, tmp_path / f"file-{number:05d}.json")
        assert len(read_coco(files).notes) == notes, "a later number alone is of another data set"
    (note,) = read_coco(files).notes
    assert note == "file.json goes on in file-00002.json, which is not read: join the files (3 in all)"
