"""BURST, class-guided: HOTA per class, averaged over all, common and uncommon classes.

    ground truth  SPLIT/all_classes.json with `sequences`
    predictions   a JSON file of the same format, with its own `segmentations` and `track_category_ids`

A sequence has a dictionary {track id: {"rle": ...}} for each of its `annotated_image_paths`. Predicted frames are
matched by these names; additional ones are ignored. Annotations are incomplete: `neg_category_ids` are known to be
absent from the video, and not all objects of `not_exhaustive_category_ids` are annotated.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evals.benchmark_types import Figures
from evals.dataset_files import field, image_size, numbers, read_json, results_file
from evals.rle_masks import Size, read_rle
from evals.samples import DatasetSplit
from evals.video.worker_pool import progress
from sam3model.data.clip_layouts import burst_annotations
from sam3model.data.coco_file import table
from sam3model.errors import DataError
from sam3model.metrics.assignment import best_pairs
from sam3model.metrics.hota import Hota
from sam3model.metrics.overlap import FloatArray, Rle
from sam3model.metrics.video_tracks import TrackSet, frame_iou

Track = list[Rle | None]
"""A mask, or None, for each annotated frame."""
# fmt: off
COMMON = frozenset({
    4, 13, 34, 35, 36, 41, 45, 58, 60, 78, 79, 81, 91, 95, 99, 118, 126, 133, 139, 154, 174, 185, 211, 221, 229,
    235, 237, 276, 299, 347, 371, 382, 392, 428, 429, 452, 475, 480, 502, 544, 579, 621, 625, 642, 699, 714, 717,
    729, 747, 779, 805, 829, 852, 896, 926, 937, 961, 979, 980, 982, 993, 1001, 1018, 1038, 1057, 1091, 1097, 1099,
    1115, 1117, 1122, 1132, 1135, 1144, 1155, 1162, 1215, 1229,
})
"""Category ids of the 78 classes shared with COCO, from the official evaluator."""
DISTRACTORS = frozenset({
    20, 63, 108, 180, 188, 204, 212, 247, 303, 403, 407, 415, 490, 504, 507, 513, 529, 567, 569, 588, 672, 691, 702,
    708, 711, 720, 736, 737, 798, 813, 815, 827, 831, 851, 877, 883, 912, 971, 976, 1130, 1133, 1134, 1169, 1184,
    1220,
})
"""Classes of TAO that are never evaluated."""
# fmt: on
MAX_DETECTIONS = 300
"""Maximum number of detections per frame, best scores first."""
MATCH = 0.5 - float(np.finfo(np.float64).eps)
"""Minimum IoU of a match, for classes that are not annotated exhaustively."""


class TrackedMask(NamedTuple):
    """A mask of a track in one frame."""

    frame: int
    track: str
    mask: Rle
    score: float


class BurstSequence(NamedTuple):
    """One video. tracks: id -> mask per annotated frame; classes: id -> category; negative, partial: category ids."""

    key: tuple[str, str]
    frames: tuple[str, ...]
    size: Size
    tracks: Mapping[str, Track]
    classes: Mapping[str, int]
    negative: frozenset[float]
    partial: frozenset[float]


def score_burst(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """HOTA, DetA and AssA over all, common and uncommon classes. Raises `DataError`."""
    annotations = burst_annotations(dataset.root, dataset.split)
    results = results_file(predictions, f"{dataset.split}.json", "predictions.json", "results.json")
    targets = table(read_json(annotations), "sequences", annotations)
    by_key = {sequence_key(row, results): row for row in table(read_json(results), "sequences", results)}
    metric = Hota(class_average=True)
    for row in progress(targets, "sequences"):
        target = _target(row, annotations)
        if videos is not None and "/".join(target.key) not in videos:
            continue
        if target.key not in by_key:
            raise DataError(f"{results}: sequence {'/'.join(target.key)} is missing")
        _update(metric, target, _prediction(by_key[target.key], results, target))
    # classes without any target are not evaluated
    seen = {c for (_, c), counts in metric.samples.items() if (counts.tp + counts.fn).any()}
    figures: dict[str, float] = {}
    for suffix, chosen in (("", seen), (" common", seen & COMMON), (" uncommon", seen - COMMON)):
        figures |= _figures(metric, chosen, suffix)
    return figures


def _figures(metric: Hota, classes: set[int], suffix: str) -> dict[str, float]:
    part = Hota(class_average=True)
    part.samples = {key: counts for key, counts in metric.samples.items() if key[1] in classes}
    summary = part.compute().summary() if part.samples else {}
    return {name + suffix: 100 * summary.get(name, float("nan")) for name in ("HOTA", "DetA", "AssA")}


def _update(metric: Hota, target: BurstSequence, predicted: Mapping[int, list[Track]]) -> None:
    by_class: dict[int, list[Track]] = {}
    for name, track in target.tracks.items():
        if target.classes[name] not in DISTRACTORS:
            by_class.setdefault(target.classes[name], []).append(track)
    frames = len(target.frames)
    everything = _tracks([track for tracks in by_class.values() for track in tracks], frames)
    labelled = np.any(everything.present, axis=0)  # frames without any target are not evaluated
    for category in sorted((by_class.keys() | predicted.keys()) - DISTRACTORS):
        left, right = (_tracks(side.get(category, []), frames) for side in (by_class, predicted))
        overlap = frame_iou(left, right)
        present = left.present.T
        kept = right.present.T & labelled[:, None]
        kept &= ~_unverifiable(overlap, present, category in target.negative, category in target.partial)
        if present.any() or kept.any():
            metric.update((target.key, category), overlap * kept[:, None], present, kept)


def _tracks(masks: list[Track], frames: int) -> TrackSet:
    return TrackSet("segm", masks, np.zeros((len(masks), frames, 4)))


def _unverifiable(overlap: FloatArray, present: NDArray[np.bool_], negative: bool, partial: bool) -> NDArray[np.bool_]:
    """Detections (T, P) that the annotations cannot prove wrong, from IoU (T, G, P) and present targets (T, G).

    In a frame without a target of the class these are all detections, unless the class is known to be absent from the
    video; in a class that is not annotated exhaustively, all detections without a match.
    """
    unknown = np.zeros((len(overlap), overlap.shape[2]), bool)
    if not negative:
        unknown[~present.any(1)] = True
    if partial:
        matched = np.zeros_like(unknown)
        for t, iou in enumerate(np.where(overlap >= MATCH, overlap, 0)):
            rows, columns = best_pairs(iou) if iou.size else (np.zeros(0, int),) * 2
            matched[t, columns[iou[rows, columns] > 0]] = True
        unknown |= ~matched
    return unknown


def sequence_key(row: Any, path: Path) -> tuple[str, str]:
    """Data set and name of a sequence. Raises `DataError`."""
    name = field(row, "seq_name", str, f"{path}: sequences")
    return field(row, "dataset", str, f"{path}: sequence {name}"), name


def _target(row: Any, path: Path) -> BurstSequence:
    key = sequence_key(row, path)
    where = f"{path}: sequence {'/'.join(key)}"
    size = image_size(row, where)
    frames = frame_names(row, where)
    tracks: dict[str, Track] = {}
    for mask in _masks(row, where, size, frames):
        tracks.setdefault(mask.track, [None] * len(frames))[mask.frame] = mask.mask
    negative, partial = (
        frozenset(numbers(row.get(name), None, f"{where}: {name}"))
        for name in ("neg_category_ids", "not_exhaustive_category_ids")
    )
    return BurstSequence(key, frames, size, tracks, _classes(row, tracks, where), negative, partial)


def _prediction(row: Any, path: Path, target: BurstSequence) -> dict[int, list[Track]]:
    """Predicted tracks by category, on the annotated frames."""
    where = f"{path}: sequence {'/'.join(target.key)}"
    detections: list[list[TrackedMask]] = [[] for _ in target.frames]
    for mask in _masks(row, where, target.size, target.frames):
        detections[mask.frame].append(mask)
    tracks: dict[str, Track] = {}
    for t, in_frame in enumerate(detections):
        for mask in sorted(in_frame, key=lambda d: -d.score)[:MAX_DETECTIONS]:
            tracks.setdefault(mask.track, [None] * len(target.frames))[t] = mask.mask
    by_category: dict[int, list[Track]] = {}
    for name, category in _classes(row, tracks, where).items():
        by_category.setdefault(category, []).append(tracks[name])
    return by_category


def _classes(row: Any, tracks: Mapping[str, Track], where: str) -> dict[str, int]:
    classes = field(row, "track_category_ids", dict, where)
    return {name: field(classes, name, int, f"{where}: track_category_ids") for name in tracks}


def frame_names(row: Any, where: str) -> tuple[str, ...]:
    """Names of the annotated frames of a sequence. Raises `DataError`."""
    names = tuple(field(row, "annotated_image_paths", list, where))
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{where}: the field 'annotated_image_paths' is not a list of unique names")
    return names


def _masks(row: Any, where: str, size: Size, annotated: tuple[str, ...]) -> Iterator[TrackedMask]:
    frames = frame_names(row, where)
    segmentations = field(row, "segmentations", list, where)
    if len(segmentations) != len(frames):
        raise DataError(f"{where}: the field 'segmentations' has {len(segmentations)} items for {len(frames)} frames")
    places = {name: t for t, name in enumerate(annotated)}
    for name, segments in zip(frames, segmentations, strict=True):
        if name not in places:
            continue
        if not isinstance(segments, Mapping):
            raise DataError(f"{where}: the field 'segmentations' contains something other than objects")
        for track, segment in segments.items():
            place = f"{where}, frame {name}, track {track}"
            mask = read_rle({"size": list(size), "counts": field(segment, "rle", str, place)}, place)
            score = numbers([segment.get("score", 1.0)], 1, f"{place}: the field 'score'")[0]
            yield TrackedMask(places[name], track, mask, score)
