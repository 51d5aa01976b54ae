"""COCO AP and AR of masks and boxes in images, equal to pycocotools."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sam3model.errors import MetricError
from sam3model.metrics.annotation_files import (
    JsonSource,
    is_finite,
    load_ground_truth,
    load_predictions,
    refuse_ids_of_another_type,
    require,
)
from sam3model.metrics.average_precision import ApResult, ApRules, AveragePrecision, strongest
from sam3model.metrics.overlap import FloatArray, check_kind, finite_scores, geometry_field, iou_matrix, rle_areas

Entry = Mapping[str, Any]
Groups = Mapping[tuple[Any, Any], list[Entry]]


def evaluate_coco(
    ground_truth: JsonSource,
    predictions: JsonSource,
    iou_type: str = "segm",
    positive_split: bool = False,
    mask_areas: bool = False,
    rules: ApRules | None = None,
) -> ApResult:
    """COCO AP and AR; arguments as in `coco_shard`."""
    return coco_shard(ground_truth, predictions, iou_type, positive_split, mask_areas, rules).compute()


def coco_shard(
    ground_truth: JsonSource,
    predictions: JsonSource,
    iou_type: str = "segm",
    positive_split: bool = False,
    mask_areas: bool = False,
    rules: ApRules | None = None,
) -> AveragePrecision:
    """Match a COCO results list against a COCO file; shards of images can be merged.

    ground_truth, predictions: paths or loaded JSON; masks are RLE, boxes xywh in pixels.
    positive_split: ignore detections of a category in images without a target of it (crowds count as targets).
    mask_areas: pycocotools assigns a prediction that has a `bbox` to small, medium or large by the area of the box, and
        any other, by that of its mask; True uses the area of the mask. AP over all areas is the same.
    Raises `MetricError` if a file is invalid, a detection belongs to an unknown image, or a number is not finite.
    """
    kind = check_kind(iou_type)
    truth, predicted = load_ground_truth(ground_truth), load_predictions(predictions)
    images, categories = {i["id"] for i in truth["images"]}, {c["id"] for c in truth["categories"]}
    if unknown := {p.get("image_id") for p in predicted} - images:
        raise MetricError(f"predictions have {len(unknown)} unknown images, e.g. {min(unknown, key=str)}")
    targets = _group(truth["annotations"], "annotation")
    refuse_ids_of_another_type((p.get("category_id") for p in predicted), categories, "category_id")
    detections = _group((p for p in predicted if p.get("category_id") in categories), "prediction")
    by_box = not mask_areas and (kind == "bbox" or (bool(predicted) and bool(predicted[0].get("bbox"))))
    metric = AveragePrecision(rules)
    for key in targets.keys() | detections.keys():
        image, category = key
        if image in images and category in categories and not (positive_split and key not in targets):
            _update(metric, key, targets.get(key, []), detections.get(key, []), kind, by_box)
    return metric


def _group(entries: Iterable[Entry], what: str) -> Groups:
    groups: dict[tuple[Any, Any], list[Entry]] = defaultdict(list)
    try:
        for entry in entries:
            groups[entry["image_id"], entry["category_id"]].append(entry)
    except KeyError as error:
        raise MetricError(f"{what} without {error}") from error
    return groups


def _update(
    metric: AveragePrecision,
    key: tuple[Any, Any],
    targets: list[Entry],
    detections: list[Entry],
    kind: str,
    by_box: bool,
) -> None:
    field = geometry_field(kind)
    where = f"image {key[0]}, category {key[1]}"
    scores = finite_scores([require(d, "score", "prediction") for d in detections], where)
    order = strongest(scores, metric.rules.max_detections[-1])
    ranked = [detections[i] for i in order]
    shapes = [require(d, field, "prediction") for d in ranked]
    crowd = [bool(t.get("iscrowd", 0)) for t in targets]
    iou = iou_matrix(kind, shapes, [require(t, field, "annotation") for t in targets], crowd)
    areas = _box_areas(ranked) if by_box else rle_areas([require(d, "segmentation", "prediction") for d in ranked])
    target_areas = [require(t, "area", "annotation") for t in targets]
    if not all(map(is_finite, target_areas)):
        raise MetricError(f"{where}: an annotation has an area that is not a finite number")
    metric.update(key[1], key[0], iou, scores[order], target_areas, areas, crowd)


def _box_areas(detections: list[Entry]) -> FloatArray:
    boxes = np.array([require(d, "bbox", "prediction") for d in detections], np.float64).reshape(-1, 4)
    return boxes[:, 2] * boxes[:, 3]
