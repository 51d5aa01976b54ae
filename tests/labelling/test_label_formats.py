"""The files that are written, as other readers see them."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sam3agent.labelling.coco_format import CocoFormat
from sam3agent.labelling.file_formats import FORMATS
from sam3agent.labelling.label_data_set import DataSetFiles, check_label_formats, label_data_set
from sam3agent.labelling.label_export import LabelledImage, labelled_images
from sam3agent.labelling.label_job import LabelJob
from sam3agent.labelling.label_splits import LabelSplits
from sam3model.errors import InputError
from tests.labelling.coloured_blocks import COLOURS, draw_folder, make_blocks

COUNT = 10
SPLITS = LabelSplits.parsed("train=0.6,val=0.4")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in all formats."""
    folder = tmp_path_factory.mktemp("formats")
    photos = draw_folder(folder / "photos", COUNT)
    job = LabelJob(folder / "out", (str(photos),), phrases=("red block", "blue block"), segmenter=make_blocks)
    label_data_set(job, DataSetFiles(SPLITS, tuple(FORMATS), review=True))
    return folder / "out"


def pixels(out: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(out / "images" / name))


def parts(image: np.ndarray, colour: str) -> np.ndarray:
    """Where the image has a colour, (H, W)."""
    return (image == COLOURS[colour]).all(2)


def coco_rows(out: Path) -> dict[str, list[dict]]:
    """Annotations of all splits by file name."""
    found: dict[str, list[dict]] = {}
    for path in (out / "annotations").iterdir():
        content = json.loads(path.read_text())
        names = {row["id"]: row["file_name"] for row in content["images"]}
        found |= {name: [] for name in names.values()}
        for row in content["annotations"]:
            found[names[row["image_id"]]].append(row)
    return found


def test_pycocotools_reads_the_masks(out: Path) -> None:
    from pycocotools.coco import COCO

    seen, ids = 0, set[int]()
    for split in SPLITS.names:
        coco = COCO(str(out / "annotations" / f"instances_{split}.json"))
        assert coco.getCatIds() == [1, 2]
        for row in coco.loadImgs(coco.getImgIds()):
            image = pixels(out, row["file_name"])
            assert (row["height"], row["width"]) == image.shape[:2]
            for kind, colour in ((1, "red"), (2, "blue")):
                masks = [coco.annToMask(one) for one in coco.loadAnns(coco.getAnnIds([row["id"]], [kind]))]
                union = np.any(masks, 0) if masks else np.zeros(image.shape[:2], bool)
                kept = sum(mask.sum() for mask in masks)
                assert kept == union.sum(), "masks overlap"
                assert not (union & ~parts(image, colour)).any()
                seen += len(masks)
        for one in coco.loadAnns(coco.getAnnIds()):
            mask = coco.annToMask(one)
            rows, columns = np.nonzero(mask)
            x, y, width, height = one["bbox"]
            assert (x, y, x + width - 1, y + height - 1) == (columns.min(), rows.min(), columns.max(), rows.max())
            assert one["area"] == mask.sum() and 0.5 < one["score"] <= 1
        assert not ids & set(coco.getAnnIds())
        ids |= set(coco.getAnnIds())
    assert seen > 10


def test_our_trainer_reads_the_data_set(out: Path) -> None:
    from sam3model.data.coco_dataset import read_coco
    from sam3model.data.dataset_layout import find_files

    rows = coco_rows(out)
    for split in SPLITS.names:
        data = read_coco(find_files(out, split), broken=0.0)
        assert data.vocabulary == ("red block", "blue block")
        assert not data.faults.found and not data.repairs.found
        for image in data.images:
            assert image.path.is_file()
            assert sum(len(phrase.annotations) for phrase in image.phrases) == len(rows[image.name])


def test_yolo_segments_fill_the_masks(out: Path) -> None:
    assert (out / "data.yaml").read_text() == (
        'train: train.txt\nval: val.txt\nnames:\n  0: "red block"\n  1: "blue block"\n'
    )
    names = [line for split in SPLITS.names for line in (out / f"{split}.txt").read_text().splitlines()]
    assert len(names) == COUNT
    for line in names:
        image = out / line
        label = ultralytics_labels(image)
        rows = coco_rows(out)[str(Path(line).relative_to("images"))]
        texts = label.read_text().splitlines()
        assert len(texts) == len(rows)
        for text, row in zip(texts, rows, strict=True):
            kind, *numbers = text.split()
            assert int(kind) == row["category_id"] - 1 and len(numbers) >= 6
            check_polygon(np.array(numbers, float).reshape(-1, 2) * Image.open(image).size, row)


def ultralytics_labels(image: Path) -> Path:
    return Path("/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt")


def test_names_mean_the_same_to_other_tools(tmp_path: Path) -> None:
    """A folder called images, characters that mean something in URLs, and a class in another script."""
    draw_folder(tmp_path / "images", 2)
    draw_folder(tmp_path / "a b#1+2%3&c", 2)
    words = (str(tmp_path / "images"), str(tmp_path / "a b#1+2%3&c"))
    job = LabelJob(tmp_path / "out", words, phrases=("red block", "a 🐕"), segmenter=make_blocks)
    label_data_set(job, DataSetFiles(formats=("yolo-seg", "label-studio")))
    images = [tmp_path / "out" / line for line in (tmp_path / "out" / "train.txt").read_text().splitlines()]
    assert len(images) == 4 and all(image.is_file() and ultralytics_labels(image).is_file() for image in images)
    assert '  1: "a 🐕"' in (tmp_path / "out" / "data.yaml").read_text(encoding="utf-8")
    tasks = json.loads((tmp_path / "out" / "label-studio" / "train.json").read_text())
    asked = [parse_qs(urlsplit(task["data"]["image"]).query, strict_parsing=True) for task in tasks]
    assert [query["d"] for query in asked] == [[str(image.relative_to(tmp_path / "out"))] for image in images]


def check_polygon(points: np.ndarray, row: dict) -> None:
    """A polygon is around the mask of an annotation."""
    from pycocotools import mask as coco

    height, width = row["segmentation"]["size"]
    filled = coco.frPyObjects([points.ravel().tolist()], height, width)
    assert coco.iou(filled, [row["segmentation"]], [0])[0, 0] > 0.9


def test_labelme_files(out: Path) -> None:
    for name, rows in coco_rows(out).items():
        path = (out / "labelme" / name).with_suffix(".json")
        content = json.loads(path.read_text())
        assert (path.parent / content["imagePath"]).resolve() == (out / "images" / name).resolve()
        assert Image.open(path.parent / content["imagePath"]).size == (content["imageWidth"], content["imageHeight"])
        assert len(content["shapes"]) == len(rows)
        for shape, row in zip(content["shapes"], rows, strict=True):
            assert shape["label"] == ("red block", "blue block")[row["category_id"] - 1]
            assert shape["shape_type"] == "polygon"
            check_polygon(np.array(shape["points"]), row)


def test_label_studio_tasks(out: Path) -> None:
    rows, seen = coco_rows(out), 0
    for split in SPLITS.names:
        for task in json.loads((out / "label-studio" / f"{split}.json").read_text()):
            name = task["data"]["image"].removeprefix("/data/local-files/?d=images/")
            (prediction,) = task["predictions"]
            for result, row in zip(prediction["result"], rows[name], strict=True):
                size = result["original_width"], result["original_height"]
                check_polygon(np.array(result["value"]["points"]) / 100 * size, row)
            seen += 1
    assert seen == COUNT
    config = ElementTree.parse(out / "label-studio" / "config.xml")
    assert [label.get("value") for label in config.iter("Label")] == ["red block", "blue block"]


def test_png_maps(out: Path) -> None:
    for name, rows in coco_rows(out).items():
        kinds = np.asarray(Image.open((out / "classes" / name).with_suffix(".png")))
        instances = np.asarray(Image.open((out / "instances" / name).with_suffix(".png")))
        image = pixels(out, name)
        assert (kinds[parts(image, "red")] <= 1).all() and (kinds[parts(image, "blue")] != 1).all()
        assert set(np.unique(instances)) - {0} == set(range(1, len(rows) + 1))
        for number, row in enumerate(rows, start=1):
            assert (instances == number).sum() == row["area"]
            assert set(np.unique(kinds[instances == number])) == {row["category_id"]}


def test_review_shows_the_least_sure_first(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sam3agent.labelling import review_sheets

    captions = list[str]()
    plain = review_sheets.strip
    monkeypatch.setattr(
        review_sheets, "strip", lambda tiles, texts, columns: captions.extend(texts) or plain(tiles, texts, columns)
    )
    records = (json.loads(line) for line in (out / "journal" / "000000.jsonl").read_text().splitlines()[1:])
    (page,) = review_sheets.write_review(labelled_images(records, SPLITS), out, ("red block", "blue block"))
    lowest = [float(text.rsplit(" ", 1)[1]) for text in captions if "lowest" in text]
    assert lowest == sorted(lowest) and len(captions) == COUNT
    empty = [text for text in captions if text.endswith("no mask")]
    assert empty and captions[-len(empty) :] == empty
    assert Image.open(page).width > 1000


def test_a_large_split_has_several_files(tmp_path: Path) -> None:
    with CocoFormat(tmp_path, ["ball"], ["train", "val"], part_images=3) as coco:
        for number in range(1, 8):
            coco.add(LabelledImage(number, f"{number}.png", "train", (4, 4), ()))
    found = {path.name: json.loads(path.read_text())["images"] for path in (tmp_path / "annotations").iterdir()}
    assert {name: len(images) for name, images in found.items()} == {
        "instances_train.json": 3,
        "instances_train-00002.json": 3,
        "instances_train-00003.json": 1,
        "instances_val.json": 0,
    }


def test_files_of_an_error_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="damaged"), CocoFormat(tmp_path, ["ball"], ["train"]) as coco:
        coco.add(LabelledImage(1, "1.png", "train", (4, 4), ()))
        raise ValueError("a damaged record")
    assert not list((tmp_path / "annotations").iterdir())


@pytest.mark.parametrize(("mode", "kind"), [("link", "link"), ("copy", "file"), ("none", "nothing")])
def test_images_are_linked_copied_or_left(tmp_path: Path, mode: str, kind: str) -> None:
    photos = draw_folder(tmp_path / "photos", 1)
    job = LabelJob(tmp_path / "out", (str(photos),), phrases=("red block",), segmenter=make_blocks)
    label_data_set(replace(job, images=mode))  # pyright: ignore[reportArgumentType]
    path = tmp_path / "out" / "images" / "photos" / "0.png"
    assert (path.is_symlink(), path.is_file()) == {
        "link": (True, True),
        "file": (False, True),
        "nothing": (False, False),
    }[kind]
    if kind != "nothing":
        assert path.read_bytes() == (photos / "0.png").read_bytes()


def test_formats_are_checked() -> None:
    assert check_label_formats(["coco,png", "PNG"]) == ("png",)
    with pytest.raises(InputError, match="the formats are yolo-seg, "):
        check_label_formats(["yolo-sg"])


def test_polygons_of_one_image_are_drawn_by_pillow(out: Path) -> None:
    """A third filler, with rules of its own, gives nearly the same mask."""
    rows = next(rows for rows in coco_rows(out).values() if rows)
    from sam3agent.labelling.outlines import polygon_of
    from sam3agent.masks import Mask

    mask = Mask.from_rle(rows[0]["segmentation"])
    assert mask is not None
    canvas = Image.new("1", (mask.width, mask.height))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon_of(mask) - 0.5], fill=1)
    drawn = np.asarray(canvas)
    assert (drawn & mask.full()).sum() >= 0.9 * mask.area
