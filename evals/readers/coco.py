"""COCO 2017, and what the readers of COCO-like files share: targets by category, segmentations as RLE."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.dataset_files import image_opener, read_json
from evals.samples import DatasetSplit, PhraseSample, Rle
from evals.scorers.detection import DetectionTarget, ImageTargets
from sam3model.data.box_formats import XYWH
from sam3model.data.coco_file import CocoFile, Row, class_phrase, is_number, read_xywh, where
from sam3model.data.dataset_paths import first_existing
from sam3model.data.segmentations import read_segmentation
from sam3model.data.segmentations import to_rle as rasterise
from sam3model.errors import DataError

log = logging.getLogger(__name__)


def load(path: Path, *, in_pixels: bool = True) -> CocoFile:
    """Read a COCO file; a fault in any of its rows raises `DataError`.

    in_pixels: the boxes are x, y, width and height in pixels. `DataError` if outlines prove another form; other
    oddities are logged.
    """
    file = CocoFile(path, read_json(path), strict=True)
    warning = file.settle_boxes() if in_pixels else None
    if file.form != XYWH:
        raise DataError(f"{file.path}: the boxes look like {file.form}; write them as {XYWH} in pixels")
    if warning:
        log.warning("%s: %s", file.path, warning)
    return file


def to_rle(segmentation: Any, size: tuple[int, int], place: str) -> Rle:
    """Polygons or RLE of either kind as compressed RLE; `size` is the (height, width) of the image."""
    height, width = size
    try:
        if found := read_segmentation(segmentation, (width, height)):
            return rasterise(found, (width, height))
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    raise DataError(f"{place}: 'segmentation' is missing")


def samples(
    file: CocoFile,
    root: Path,
    folders: Sequence[str],
    *,
    masks: bool,
    subset: str = "",
    categories: Mapping[int, str] | None = None,
) -> list[PhraseSample[ImageTargets]]:
    """Every image, with all `categories` (default: those of the file) as phrases."""
    categories = file.categories() if categories is None else categories
    phrases = tuple(map(class_phrase, categories.values()))
    by_image = file.annotations_by_image(categories)
    found = []
    for row in file.unique_images():
        name, size, targets = image_targets(file, row, by_image.get(row["id"], ()), masks=masks)
        target = ImageTargets(row["id"], tuple(categories), targets, subset=subset)
        key = f"{subset}/{row['id']}" if subset else str(row["id"])
        found.append(PhraseSample(key, image_opener(root, folders, name, size), phrases, target))
    return found


def image_targets(
    file: CocoFile, image: Row, rows: Sequence[Row], *, masks: bool
) -> tuple[str, tuple[int, int], dict[int, tuple[DetectionTarget, ...]]]:
    """The file name of an image, its height and width, and its targets by category."""
    found = file.image(image)
    if found is None:
        raise DataError(f"{file.path}: image {image['id']} is not usable")
    name, (width, height) = found
    targets: dict[int, list[DetectionTarget]] = defaultdict(list)
    for row in rows:
        place = f"{file.path}: {where(row)}"
        mask = to_rle(row.get("segmentation"), (height, width), place) if masks else None
        targets[row["category_id"]].append(_target(file, row, mask, place))
    return name, (height, width), {category: tuple(of_category) for category, of_category in targets.items()}


def _target(file: CocoFile, row: Row, mask: Rle | None, place: str) -> DetectionTarget:
    try:
        box = read_xywh(row)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None
    if min(box[2:]) < 0:
        raise DataError(f"{place}: 'bbox' has a negative width or height; expected {XYWH}")
    area = row.get("area", box[2] * box[3])
    if not is_number(area):
        raise DataError(f"{place}: 'area' is not a finite number")
    if area < 0:  # it only sorts targets by size
        file.repairs.note("'area' is negative: that of the box is used", where(row))
        area = box[2] * box[3]
    return DetectionTarget(box, mask, float(area), bool(row.get("iscrowd", 0)))


def read(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """COCO 2017: every image is queried with all 80 categories."""
    path = first_existing(dataset.root, f"annotations/instances_{dataset.split}2017.json")
    return samples(load(path), dataset.root, (f"{dataset.split}2017", f"images/{dataset.split}2017"), masks=True)
