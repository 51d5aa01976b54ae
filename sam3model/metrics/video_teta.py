"""TETA of video files (SA-Co/VEval)."""

from typing import Literal

import numpy as np

from sam3model.metrics.annotation_files import JsonSource
from sam3model.metrics.overlap import check_kind
from sam3model.metrics.teta import Teta, TetaResult, VideoTracks
from sam3model.metrics.track_nms import suppress_tracks
from sam3model.metrics.video_tracks import TrackSet, VideoData, above, frame_iou, load_videos

Suppression = Literal["none", "track", "frame"]


def evaluate_teta(
    ground_truth: JsonSource,
    predictions: JsonSource,
    iou_type: str = "segm",
    exhaustive: bool = True,
    score_threshold: float = 0.5,
    nms: Suppression = "none",
    reference_behaviour: bool = False,
) -> TetaResult:
    """TETA of tracks; see `teta_shard` and `Teta`. Raises `MetricError` if a file is invalid."""
    data = load_videos(ground_truth, predictions)
    return teta_shard(data, iou_type, exhaustive, score_threshold, nms, reference_behaviour).compute()


def teta_shard(
    data: VideoData,
    iou_type: str = "segm",
    exhaustive: bool = True,
    score_threshold: float = 0.5,
    nms: Suppression = "none",
    reference_behaviour: bool = False,
) -> Teta:
    """Count every video; shards can be merged if `data.targets` of all of them have the same categories.

    score_threshold: minimum score of a prediction. nms: suppress boxes, per track or per frame, that have an IoU of at
    least 0.5 with one of a higher score, of any class. Without predictions TETA is 0 (the official code raises in
    exhaustive mode).
    """
    kind, metric = check_kind(iou_type), Teta(exhaustive, reference_behaviour)
    present = {c for _, c in data.targets}
    classes = [c for c in data.categories if c in present]
    for video in data.frames:
        targets = [e for (v, _), entries in data.targets.items() if v == video for e in entries]
        if not targets:
            continue
        predicted = [
            e for (v, _), entries in data.predictions.items() if v == video for e in above(entries, score_threshold)
        ]
        annotated, tracks = (TrackSet.of(kind, e, data.frames[video]) for e in (targets, predicted))
        if nms != "none":
            kept = suppress_tracks(tracks.boxes, np.array([e["score"] for e in predicted]), 0.5, nms == "frame")
            tracks = tracks.only(kept)
        labels = (np.array([e["category_id"] for e in entries]) for entries in (targets, predicted))
        overlap = frame_iou(annotated, tracks, np.float64)
        metric.update(video, VideoTracks(overlap, annotated.present.T, tracks.present.T, *labels), classes)
    return metric
