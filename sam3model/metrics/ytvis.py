"""Video instance segmentation AP (YouTube-VIS, LV-VIS), per class or per phrase."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from sam3model.metrics.annotation_files import JsonSource, require
from sam3model.metrics.average_precision import ApResult, ApRules, AveragePrecision, strongest
from sam3model.metrics.metric_result import mean_of_defined
from sam3model.metrics.overlap import check_kind
from sam3model.metrics.video_tracks import Entry, VideoData, iou_masklets, is_crowd, load_videos

YTVIS_RULES = ApRules(area_splits=(128.0**2, 256.0**2))


def evaluate_ytvis(
    ground_truth: JsonSource,
    predictions: JsonSource,
    iou_type: str = "segm",
    by_phrase: bool = False,
    rules: ApRules = YTVIS_RULES,
) -> ApResult:
    """AP of tracks with space-time IoU; see `ytvis_shard`. Raises `MetricError` if a file is invalid."""
    return ytvis_shard(load_videos(ground_truth, predictions), iou_type, by_phrase, rules).compute()


def ytvis_shard(
    data: VideoData, iou_type: str = "segm", by_phrase: bool = False, rules: ApRules = YTVIS_RULES
) -> AveragePrecision:
    """Match tracks within each (video, category); shards can be merged.

    by_phrase: rank all detections together instead of per category (phrase AP of SA-Co/VEval). The size of a track is
    its mean area over all frames, absent ones included: of masks for targets and, as in the official code, of boxes for
    predictions. A crowd (`iscrowd`) is matched by any number of detections, which are then ignored; it has the IoU of
    any other track, as in the official code. Without predictions AP is 0 (the official code raises IndexError).
    """
    metric = AveragePrecision(rules)
    for phrase in data.phrases:
        entries = data.predictions.get(phrase, [])
        scores = np.array([require(e, "score", "prediction") for e in entries], np.float64)
        order = strongest(scores, rules.max_detections[-1])
        targets = data.target_tracks(check_kind(iou_type), phrase)
        predicted = data.predicted_tracks(iou_type, phrase, [entries[i] for i in order])
        iou = iou_masklets(predicted, targets)
        area = [_mean_area(t) for t in data.targets.get(phrase, [])]
        crowd = [is_crowd(t) for t in data.targets.get(phrase, [])]
        boxes = predicted.boxes[..., 2] * predicted.boxes[..., 3]
        category, unit = (0, phrase) if by_phrase else (phrase[1], phrase[0])
        metric.update(category, unit, iou, scores[order], area, boxes.mean(1) if len(predicted) else [], crowd)
    return metric


def _mean_area(target: Entry) -> float:
    areas = require(target, "areas", "annotation")
    return sum(a or 0 for a in areas) / max(len(areas), 1)


def ap_over(result: ApResult, categories: Iterable[Any]) -> float:
    """AP over some categories, e.g. the base or novel ones of LV-VIS; -1 if none has a target."""
    return mean_of_defined([p for c in categories for p in result.per_category.get(c, ())])
