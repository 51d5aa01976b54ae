"""HOTA of video files: per phrase (pHOTA of SA-Co/VEval), averaged over classes, or class-agnostic."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sam3model.metrics.annotation_files import JsonSource
from sam3model.metrics.hota import Hota, HotaResult
from sam3model.metrics.overlap import check_kind
from sam3model.metrics.track_nms import suppress_tracks
from sam3model.metrics.video_tracks import Entry, TrackSet, VideoData, above, frame_iou, load_videos

Mode = Literal["phrase", "class", "agnostic"]


def evaluate_hota(
    ground_truth: JsonSource, predictions: JsonSource, iou_type: str = "segm", mode: Mode = "phrase", **options: bool
) -> HotaResult:
    """HOTA of tracks; see `hota_shard` for modes and options. Raises `MetricError` if a file is invalid."""
    return hota_shard(load_videos(ground_truth, predictions), iou_type, mode, **options).compute()


def hota_shard(
    data: VideoData,
    iou_type: str = "segm",
    mode: Mode = "phrase",
    keep_equal: bool = False,
    reference_behaviour: bool = False,
) -> Hota:
    """Count the matches of every sequence; shards can be merged.

    mode: "phrase" has a sequence per (video, phrase) in targets or predictions, so negative phrases without predictions
        are not scored. "class" averages over the categories of the file. "agnostic" ignores categories, after
        suppression of tracks that have an IoU of at least 0.5 with one of a higher score.
    keep_equal: also keep predictions with a score of exactly 0.5, as cgF1 and TETA do; the official code drops them.
    reference_behaviour: suppression only removes boxes, as in the official code, so masks are unaffected; by default
        it also removes masks.
    Without targets HOTA is 0 (the official code raises). Absent frames do not count, so empty tracks have no effect.
    """
    kind, metric = check_kind(iou_type), Hota(class_average=mode == "class")
    if mode == "agnostic":
        for video in data.frames:
            targets = [e for (v, _), entries in data.targets.items() if v == video for e in entries]
            predicted = [e for (v, _), entries in data.predictions.items() if v == video for e in entries]
            tracks = _suppressed(data, kind, video, above(predicted, 0.5, not keep_equal), reference_behaviour)
            _update(metric, (video, None), TrackSet.of(kind, targets, data.frames[video]), tracks)
        return metric
    phrases = data.phrases if mode == "phrase" else [(v, c) for c in data.categories for v in data.frames]
    for phrase in phrases:
        kept = above(data.predictions.get(phrase, []), 0.5, not keep_equal)
        _update(metric, phrase, data.target_tracks(kind, phrase), data.predicted_tracks(kind, phrase, kept))
    return metric


def _update(metric: Hota, key: tuple, targets: TrackSet, predictions: TrackSet) -> None:
    metric.update(key, frame_iou(targets, predictions), targets.present.T, predictions.present.T)


def _suppressed(data: VideoData, kind: str, video: object, entries: Sequence[Entry], boxes_only: bool) -> TrackSet:
    tracks = TrackSet.of(kind, entries, data.frames[video])
    if kind == "segm" and boxes_only:
        return tracks
    return tracks.only(suppress_tracks(tracks.boxes, np.array([e["score"] for e in entries])))
