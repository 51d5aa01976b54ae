"""Scores a COCO results file made by any tool on any COCO annotation file, as pycocotools does."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.benchmark_types import ScoredPredictions, percent
from evals.dataset_files import read_json
from evals.intervals import RESAMPLES, Interval, intervals
from evals.readers.coco import image_targets, load, to_rle
from evals.samples import DatasetSplit
from evals.scorers.detection import NAMES
from evals.scorers.resampled_figures import resample_ap
from sam3model.data.coco_fields import normalised
from sam3model.data.coco_file import CocoFile, is_number
from sam3model.data.dataset_paths import inside
from sam3model.errors import ConfigError, DataError, MetricError
from sam3model.metrics.average_precision import AveragePrecision
from sam3model.metrics.coco_ap import coco_shard
from sam3model.metrics.overlap import FloatArray, Rle, coco_mask

log = logging.getLogger(__name__)

Size = tuple[int, int]
Row = dict[str, Any]
USUAL = ("annotations/instances_{split}2017.json", "_annotations.coco.json", "annotations.json", "instances.json")
MAX_LISTED = 10
MAX_PREDICTIONS = 1 << 25


def score_coco(dataset: DatasetSplit, predictions: Path, resamples: int = RESAMPLES) -> ScoredPredictions:
    """AP and the other COCO figures of boxes and masks, the intervals of AP, and the number of images.

    Masks are scored if the annotations and the predictions have some. A prediction without a box gets that of its
    mask. Raises `DataError`, naming the file and the annotation or prediction.
    """
    path = annotation_file(dataset, predictions)
    file = load(path)
    sizes, truth = _truth(file)
    found, with_boxes = _predictions(predictions, sizes, set(file.categories()))
    with_masks = [all("segmentation" in row for row in rows) for rows in (truth["annotations"], found)]
    kinds = ("bbox", "segm") if all(with_masks) else ("bbox",)
    figures: dict[str, float] = {}
    bounds: dict[str, Interval] = {}
    for kind in kinds:
        try:
            metric = coco_shard(truth, found, kind, mask_areas=not with_boxes)
        except MetricError as error:
            raise DataError(f"{predictions}: {error}") from error
        own = {f"{NAMES[kind]} {name}": percent(value) for name, value in metric.compute().stats.items()}
        figures |= own
        resampled = _Resampled(metric, f"{NAMES[kind]} AP")
        bounds |= intervals(resampled, map(str, sizes), own, resamples)
    return ScoredPredictions({**figures, "images": len(sizes), "predictions": len(found)}, bounds, len(sizes))


class _Resampled:
    """AP over the images of a COCO file."""

    def __init__(self, metric: AveragePrecision, name: str) -> None:
        self._metric = metric
        self._name = name

    def resample(self, draws: Any) -> Mapping[str, FloatArray]:
        """AP under each resample of the images."""
        return {self._name: resample_ap(self._metric, draws, str)}


def annotation_file(dataset: DatasetSplit, predictions: Path | None = None) -> Path:
    """The annotation file: the root if it is a file, the usual name below it, or the only JSON file there.

    Raises `ConfigError` if there is none, or several.
    """
    if not dataset.root.is_dir():
        return dataset.root
    for name in USUAL:
        if (path := inside(dataset.root, name.format(split=dataset.split))).is_file():
            return path
    skipped = predictions.resolve() if predictions else None
    found = sorted(path for path in _json_files(dataset.root) if path.resolve() != skipped)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(str(path.relative_to(dataset.root)) for path in found[:MAX_LISTED])
    what = f"holds several JSON files ({listed})" if found else "holds no COCO annotation file (*.json)"
    raise ConfigError(f"{dataset.root} {what}: give the annotation file itself as --root")


def _json_files(root: Path) -> Iterator[Path]:
    for folder in (root, root / "annotations"):
        if folder.is_dir():
            yield from (path for path in folder.glob("*.json") if path.is_file())


def _truth(file: CocoFile) -> tuple[dict[Any, Size], dict[str, list[Row]]]:
    """Sizes (height, width) of the images, and the annotations as a COCO file whose masks are RLE."""
    categories = file.categories()
    rows_of = file.annotations_by_image(categories)
    masks = bool(file.annotations) and all(row.get("segmentation") for row in file.annotations)
    sizes: dict[Any, Size] = {}
    annotations: list[Row] = []
    for image in file.unique_images():
        found = file.image(image)
        if found is None:
            raise DataError(f"{file.path}: image {image['id']} is not usable")
        sizes[image["id"]] = (found[1][1], found[1][0])
        *_, targets = image_targets(file, image, rows_of.get(image["id"], ()), masks=masks)
        for category, of_category in targets.items():
            for one in of_category:
                row = {"image_id": image["id"], "category_id": category, "bbox": list(one.box), "area": one.area}
                more = {} if one.mask is None else {"segmentation": one.mask}
                annotations.append({**row, "iscrowd": int(one.crowd), **more})
    images = [{"id": number} for number in sizes]
    return sizes, {"images": images, "annotations": annotations, "categories": [{"id": c} for c in categories]}


def _predictions(path: Path, sizes: Mapping[Any, Size], categories: set[int]) -> tuple[list[Row], bool]:
    """The rows of a results file, validated, each with a box and perhaps a mask as RLE, and whether the boxes are its.

    As in pycocotools, the first prediction tells whether the size of an object is that of its box or of its mask.
    """
    rows = read_json(path)
    rows = rows.get("annotations") if isinstance(rows, dict) else rows  # a COCO file with scores
    if not isinstance(rows, list) or len(rows) > MAX_PREDICTIONS:
        raise DataError(f"{path}: expected a list of predictions {{image_id, category_id, bbox, score}}")
    found = [_prediction(row, sizes, f"{path}: prediction {number}") for number, row in enumerate(rows)]
    unknown = sum(row["category_id"] not in categories for row in found)
    if unknown:
        log.warning(
            "%s: %d of %d predictions have a category_id that the annotations lack; they are ignored",
            *(path, unknown, len(found)),
        )
    return found, not rows or bool(rows[0].get("bbox")) or "segmentation" not in found[0]


def _prediction(row: Any, sizes: Mapping[Any, Size], where: str) -> Row:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} is a {type(row).__name__}, not an object")
    for name in ("image_id", "category_id", "score"):
        if name not in row:
            raise DataError(f"{where} has no {name!r}")
    row = normalised(row)
    image, category = row["image_id"], row["category_id"]
    if not isinstance(image, int | str) or image not in sizes:
        raise DataError(f"{where}: image_id {image!r} is not in the annotations")
    if type(category) is not int:
        raise DataError(f"{where}: 'category_id' is not an integer")
    if not is_number(row["score"]):
        raise DataError(f"{where}: the score is {row['score']!r}, not a finite number")
    mask = to_rle(row["segmentation"], sizes[image], where) if row.get("segmentation") else None
    box = _box(row.get("bbox"), mask, where)
    more = {} if mask is None else {"segmentation": mask}
    return {"image_id": image, "category_id": category, "score": float(row["score"]), "bbox": box, **more}


def _box(box: Any, mask: Rle | None, where: str) -> Sequence[float]:
    if box:
        if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(is_number, box)):
            raise DataError(f"{where}: 'bbox' is not four finite numbers x, y, width, height")
        if min(box[2:]) < 0:
            raise DataError(f"{where}: 'bbox' has a negative width or height; expected x, y, width, height")
        return [float(side) for side in box]
    if mask is None:
        raise DataError(f"{where} has neither 'bbox' nor 'segmentation'")
    return coco_mask.toBbox(dict(mask)).tolist()
