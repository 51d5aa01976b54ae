"""OmniLabel: boxes for free-form descriptions; every (image, description) pair of the label space is a question."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from evals.dataset_files import field, image_opener, image_size, integers, numbers, read_json
from evals.samples import DatasetSplit, QuestionSample
from evals.scorers.omnilabel import DescriptionTarget
from sam3model.data.coco_file import table
from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError
from sam3model.metrics.omnilabel_ap import kind_of

Box = tuple[float, float, float, float]
FOLDERS = ("images", "", "imgs")


def read(dataset: DatasetSplit) -> list[QuestionSample[DescriptionTarget]]:
    """Every image with every description of its label space, positive or negative."""
    path = _file(dataset.root, dataset.split)
    data = read_json(path)
    boxes = _boxes(data, path)
    descriptions: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    for row in table(data, "descriptions", path):
        where = f"{path}: description {row.get('id')}"
        kind = kind_of(field(field(row, "anno_info", dict, where), "type", str, where))
        entry = field(row, "id", int, where), field(row, "text", str, where), kind
        for image_id in integers(row, "image_ids", where):
            descriptions[image_id].append(entry)
    samples = []
    for image in table(data, "images", path):
        where = f"{path}: image {image.get('id')}"
        image_id = field(image, "id", int, where)
        size = image_size(image, where) if {"height", "width"} <= image.keys() else None
        open_image = image_opener(dataset.root, FOLDERS, field(image, "file_name", str, where), size)
        for number, text, kind in descriptions[image_id]:
            target = DescriptionTarget(image_id, number, kind, tuple(boxes.get((image_id, number), ())))
            samples.append(QuestionSample(f"{image_id}/{number}", open_image, text, target))
    return samples


def _file(root: Path, split: str) -> Path:
    """The latest version of `dataset_all_SPLIT_VERSION.json`."""
    files = sorted(root.glob(f"dataset_all_{split}*.json")) or sorted(
        root.glob(f"annotations/dataset_all_{split}*.json")
    )
    if not files:
        raise DataError(f"{root}: dataset_all_{split}_VERSION.json is missing")
    return inside(root, str(files[-1].relative_to(root)))


def _boxes(data: Any, path: Path) -> dict[tuple[int, int], list[Box]]:
    """Boxes xywh by image and description."""
    boxes: dict[tuple[int, int], list[Box]] = defaultdict(list)
    for row in table(data, "annotations", path):
        where = f"{path}: annotation {row.get('id')}"
        x, y, width, height = numbers(field(row, "bbox", list, where), 4, f"{where}: the field 'bbox'")
        for description in integers(row, "description_ids", where):
            boxes[field(row, "image_id", int, where), description].append((x, y, width, height))
    return boxes
