"""HOTA of video files: per phrase (pHOTA of SA-Co/VEval), averaged over classes, or regardless of class."""

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
    """HOTA of tracks; see `hota_shard` for modes and options. Raises MetricError if a file is malformed."""
    return hota_shard(load_videos(ground_truth, predictions), iou_type, mode, **options).compute()


def hota_shard(
    data: VideoData,
    iou_type: str = "segm",
    mode: Mode = "phrase",
    keep_equal: bool = False,
    reference_behaviour: bool = False,
) -> Hota:
    """Count the matches of every sequence; shards can be merged.

    mode: "phrase" makes a sequence of every (video, phrase) that occurs in targets or predictions; negative phrases
        without predictions do not enter. "class" averages over the categories of the file. "agnostic" ignores
        categories, after suppression of tracks that overlap a stronger one by 0.5 or more.
    keep_equal: predictions need a score above 0.5, officially strictly; True keeps 0.5 itself, as cgF1 and TETA do.
    reference_behaviour: suppression clears boxes only, so it does nothing to masks, as officially; the default removes
        the masks with the boxes.
    Without any target HOTA is 0 (the official code raises). Frames without pixels or box do not count, so a track that
    is empty everywhere does no harm.
    """
    kind, metric = check_kind(iou_type), Hota(class_average=mode == "class")
    if mode == "agnostic":
        for video in data.frames:
            targets = [e for (v, _), entries in data.targets.items() if v == video for e in entries]
            found = [e for (v, _), entries in data.predictions.items() if v == video for e in entries]
            tracks = _without_rivals(data, kind, video, above(found, 0.5, not keep_equal), reference_behaviour)
            _update(metric, (video, None), TrackSet.of(kind, targets, data.frames[video]), tracks)
        return metric
    phrases = data.phrases if mode == "phrase" else [(v, c) for c in data.categories for v in data.frames]
    for phrase in phrases:
        kept = above(data.predictions.get(phrase, []), 0.5, not keep_equal)
        _update(metric, phrase, data.target_tracks(kind, phrase), data.predicted_tracks(kind, phrase, kept))
    return metric


def _update(metric: Hota, key: tuple, targets: TrackSet, predictions: TrackSet) -> None:
    metric.update(key, frame_iou(targets, predictions), targets.present.T, predictions.present.T)


def _without_rivals(data: VideoData, kind: str, video: object, entries: Sequence[Entry], boxes_only: bool) -> TrackSet:
    tracks = TrackSet.of(kind, entries, data.frames[video])
    if kind == "segm" and boxes_only:
        return tracks
    return tracks.only(suppress_tracks(tracks.boxes, np.array([e["score"] for e in entries])))
