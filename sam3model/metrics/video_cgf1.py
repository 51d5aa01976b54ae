"""cgF1 on videos (SA-Co/VEval): samples are (video, phrase) pairs, tracks are matched by space-time IoU."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sam3model.metrics.annotation_files import JsonSource
from sam3model.metrics.cgf1 import SCORE_THRESHOLD, ConceptF1
from sam3model.metrics.concept_f1 import ConceptF1Result, SampleCounts, count_matches
from sam3model.metrics.overlap import check_kind
from sam3model.metrics.video_tracks import Phrase, VideoData, above, iou_masklets, is_crowd, load_videos


def evaluate_video_cgf1(
    ground_truth: JsonSource, predictions: JsonSource, iou_type: str = "segm", score_threshold: float = SCORE_THRESHOLD
) -> ConceptF1Result:
    """cgF1 of tracks; see `video_concept_f1`. Raises `MetricError` if a file is invalid or has no pairs."""
    return video_concept_f1(load_videos(ground_truth, predictions), iou_type, score_threshold).compute()


def video_concept_f1(data: VideoData, iou_type: str = "segm", score_threshold: float = SCORE_THRESHOLD) -> ConceptF1:
    """Count matches of all (video, phrase) pairs that are prompted, annotated or predicted; shards can be merged.

    As in the official code, crowds are no targets, and an empty track with a sufficient score is a false positive.
    Without any predictions cgF1 is 0 (the official code raises IndexError).
    """
    metric = ConceptF1(check_kind(iou_type), score_threshold)
    for phrase in data.pairs.union(data.phrases) if data.pairs else data.phrases:
        annotated = [target for target in data.targets.get(phrase, []) if not is_crowd(target)]
        targets = data.target_tracks(iou_type, phrase, annotated)
        kept = above(data.predictions.get(phrase, []), score_threshold)
        metric.add(phrase, count_matches(iou_masklets(targets, data.predicted_tracks(iou_type, phrase, kept))))
    return metric


def phrase_table(samples: Mapping[Phrase, SampleCounts]) -> Iterable[dict[str, Any]]:
    """One row per (video, phrase) pair: TP, FP, FN and F1 at 0.5, at 0.75 and averaged over the ten thresholds.

    F1 is 2 TP / (2 TP + FP + FN) without epsilon, and 1 for true negatives.
    """
    for (video, category), (tp, targets, detections) in sorted(samples.items()):
        errors = targets + detections - 2 * tp
        f1 = np.divide(2 * tp, 2 * tp + errors, out=np.ones(len(tp)), where=2 * tp + errors > 0)
        row: dict[str, Any] = {"video_id": video, "category_id": category}
        curves = {"TP": tp, "FP": detections - tp, "FN": targets - tp, "F1": f1}
        for suffix, part in (("50_95", slice(None)), ("50", slice(0, 1)), ("75", slice(5, 6))):
            row |= {f"{name}_{suffix}": float(np.mean(values[part])) for name, values in curves.items()}
        yield row
