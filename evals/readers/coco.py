"""COCO files: pictures, categories and annotations, checked and sorted by picture."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.dataset_files import field, image_opener, image_size, numbers, read_json, table
from evals.rle_masks import read_rle
from evals.samples import DatasetSplit, PhraseSample, Rle
from evals.scorers.detection import DetectionTarget, ImageTargets
from sam3model.data.coco import class_phrase
from sam3model.data.segments import read_polygon
from sam3model.errors import DataError
from sam3model.metrics.overlap import coco_mask

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class CocoFile:
    """A file in memory. categories: id -> name; annotations: picture id -> rows."""

    path: Path
    images: Sequence[Row]
    categories: Mapping[int, str]
    annotations: Mapping[int, Sequence[Row]]


def load(path: Path, data: Any = None) -> CocoFile:
    """Read a COCO file, or take what was read of it; raises `DataError` with file and field."""
    data = read_json(path) if data is None else data
    categories = {field(c, "id", int, f"{path}: category"): c for c in table(data, "categories", path)}
    names = {i: field(c, "name", str, f"{path}: category {i}") for i, c in categories.items()}
    annotations: dict[int, list[Row]] = defaultdict(list)
    images = table(data, "images", path)
    ids = {field(image, "id", int, f"{path}: image") for image in images}
    for row in table(data, "annotations", path):
        where = f"{path}: annotation {row.get('id')}"
        if field(row, "image_id", int, where) not in ids:
            raise DataError(f"{where}: the field 'image_id' names no picture of the file")
        if field(row, "category_id", int, where) not in names:
            raise DataError(f"{where}: the field 'category_id' names no category of the file")
        annotations[row["image_id"]].append(row)
    return CocoFile(path, images, names, annotations)


def to_rle(segmentation: Any, size: tuple[int, int], where: str) -> Rle:
    """Polygons or a run-length code of either kind as a compressed one; `size` is that of the picture."""
    if isinstance(segmentation, Mapping):
        return read_rle(segmentation, f"{where}: the field 'segmentation'", size)
    if not isinstance(segmentation, list) or not segmentation:
        raise DataError(f"{where}: the field 'segmentation' is neither polygons nor a run-length code")
    try:
        polygons = [read_polygon(part, size) for part in segmentation]
    except DataError as error:
        raise DataError(f"{where}: the field 'segmentation' holds a {error}") from None
    return coco_mask.merge(coco_mask.frPyObjects(polygons, *size))


def target(row: Row, size: tuple[int, int], path: Path, masks: bool) -> DetectionTarget:
    """One annotation."""
    where = f"{path}: annotation {row.get('id')}"
    x, y, width, height = numbers(field(row, "bbox", list, where), 4, f"{where}: the field 'bbox'")
    mask = to_rle(field(row, "segmentation", (list, dict), where), size, where) if masks else None
    (area,) = numbers([row.get("area", width * height)], 1, f"{where}: the field 'area'")
    return DetectionTarget((x, y, width, height), mask, area, bool(row.get("iscrowd", 0)))


def samples(
    file: CocoFile, root: Path, folders: Sequence[str], *, masks: bool, subset: str = "", used: Sequence[int] = ()
) -> list[PhraseSample[ImageTargets]]:
    """Every picture with all categories (or those `used`) as phrases."""
    categories = tuple(used or file.categories)
    phrases = tuple(class_phrase(file.categories[i]) for i in categories)
    found = []
    for image in file.images:
        where = f"{file.path}: image {image['id']}"
        name = field(image, "file_name", str, where)
        truth = ImageTargets(image["id"], categories, targets_of(file, image, masks), subset=subset)
        key = f"{subset}/{image['id']}" if subset else str(image["id"])
        found.append(PhraseSample(key, image_opener(root, folders, name), phrases, truth))
    return found


def targets_of(file: CocoFile, image: Row, masks: bool) -> dict[int, tuple[DetectionTarget, ...]]:
    """The targets of a picture by category."""
    size = image_size(image, f"{file.path}: image {image['id']}")
    targets: dict[int, list[DetectionTarget]] = defaultdict(list)
    for row in file.annotations.get(image["id"], ()):
        targets[row["category_id"]].append(target(row, size, file.path, masks))
    return {category: tuple(found) for category, found in targets.items()}


def read(dataset: DatasetSplit) -> list[PhraseSample[ImageTargets]]:
    """COCO 2017: every picture is asked for all 80 categories."""
    path = dataset.root / "annotations" / f"instances_{dataset.split}2017.json"
    return samples(load(path), dataset.root, (f"{dataset.split}2017", f"images/{dataset.split}2017"), masks=True)
