"""Tracks of masks or boxes, their IoU over time, and their files (YouTube-VIS JSON, SA-Co/VEval)."""

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import DataError, MetricError
from sam3model.metrics.annotation_files import JsonSource, is_finite, load_ground_truth, load_predictions, require
from sam3model.metrics.overlap import FloatArray, Rle, coco_mask, finite_scores, rle_areas
from sam3model.ops.rle_reading import encode_runs, read_rle_size, read_runs

log = logging.getLogger(__name__)

Entry = Mapping[str, Any]
Phrase = tuple[Any, Any]
NO_BOX = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class TrackSet:
    """N tracks over the same T frames.

    masks: N lists of T RLEs, None if absent; only for kind "segm". boxes: (N, T, 4) xywh, zeros if absent.
    """

    kind: str
    masks: Sequence[Sequence[Rle | None]]
    boxes: FloatArray

    @classmethod
    def of(cls, kind: str, entries: Sequence[Entry], frames: int) -> "TrackSet":
        """Tracks from file entries with `segmentations` and `bboxes`, lists with an item or null per frame.

        Raises `MetricError` if a list has another length, or an item is no RLE or no box.
        """
        masks = [_masks(e, frames) for e in entries] if kind == "segm" else []
        if kind == "segm" and not all("bboxes" in e for e in entries):
            return cls(kind, masks, np.zeros((len(entries), frames, 4)))
        return cls(kind, masks, np.array([_boxes(e, frames) for e in entries]).reshape(len(entries), frames, 4))

    def __len__(self) -> int:
        return len(self.boxes)

    def only(self, kept: NDArray[np.bool_]) -> "TrackSet":
        """The tracks without masks and boxes where `kept` (N, T) is False."""
        masks = [[m if k else None for m, k in zip(*x, strict=True)] for x in zip(self.masks, kept, strict=False)]
        return TrackSet(self.kind, masks, self.boxes * kept[..., None])

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.boxes.shape[1]

    @cached_property
    def areas(self) -> FloatArray:
        """Area of each mask or box, (N, T); 0 if absent."""
        if self.kind == "bbox":
            return self.boxes[..., 2] * self.boxes[..., 3]
        areas = np.zeros((len(self), self.frames))
        for row, track in zip(areas, self.masks, strict=True):
            present = [t for t, m in enumerate(track) if m]
            row[present] = rle_areas([track[t] for t in present])  # type: ignore[misc]
        return areas

    @cached_property
    def sizes(self) -> frozenset[tuple[int, ...]]:
        """The sizes [height, width] of the masks; one, for tracks of one video."""
        return frozenset(tuple(m["size"]) for track in self.masks for m in track if m)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether a track has pixels, or a non-zero box, (N, T)."""
        return self.areas > 0 if self.kind == "segm" else (self.boxes != 0).any(2)


def _per_frame(entry: Entry, field: str, frames: int) -> Sequence[Any]:
    values = require(entry, field, "track")
    if not hasattr(values, "__len__") or isinstance(values, str | Mapping):
        raise MetricError(f"{_named(entry)}: {field} is a {type(values).__name__}, not a list with an item per frame")
    if len(values) != frames:
        raise MetricError(f"{_named(entry)}: {field} has {len(values)} items for {frames} frames")
    return values


def _masks(entry: Entry, frames: int) -> Sequence[Rle | None]:
    return [m and _mask(entry, m) for m in _per_frame(entry, "segmentations", frames)]


def _mask(entry: Entry, mask: Any) -> Rle:
    """A mask as compressed RLE; YouTube-VIS has lists of runs."""
    if not isinstance(mask, Mapping) or not isinstance(counts := mask.get("counts"), str | bytes | list):
        raise MetricError(f"{_named(entry)}: a mask must be COCO RLE, or null")
    if not isinstance(counts, list):
        return mask
    try:
        size = read_rle_size(mask)
        return encode_runs(read_runs(counts, size), size)
    except DataError as error:
        raise MetricError(f"{_named(entry)}: {error}") from error


def _boxes(entry: Entry, frames: int) -> FloatArray:
    rows = _per_frame(entry, "bboxes", frames)
    try:
        boxes = [NO_BOX if b is None or not len(b) else b for b in rows]
        return np.array(boxes, np.float64).reshape(frames, 4)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{_named(entry)}: a box must be four numbers x, y, width, height, or null") from error


def _named(entry: Entry) -> str:
    return f"track {entry.get('id', '')} of video {entry.get('video_id')}"


def frame_iou(a: TrackSet, b: TrackSet, precision: type[np.floating] = np.float32) -> FloatArray:
    """Pairwise IoU in every frame, (T, len(a), len(b)); 0 if either is absent.

    precision: dtype of box arithmetic; the official evaluators use float32, except for TETA.
    Raises `MetricError` if masks have different sizes.
    """
    if a.kind == "bbox":
        common, union = box_overlap(a.boxes, b.boxes, precision)
        return np.divide(common, union, out=np.zeros_like(common), where=union > 0).astype(np.float64)
    if len(sizes := a.sizes | b.sizes) > 1:  # pycocotools would say -1
        first, second = sorted(sizes)[:2]
        raise MetricError(f"masks of size {list(first)} and {list(second)} cannot be compared: resize the predictions")
    iou = np.zeros((a.frames, len(a), len(b)))
    for t, rows, columns in _shared_frames(a, b):
        left, right = [a.masks[i][t] for i in rows], [b.masks[i][t] for i in columns]
        iou[t, rows[:, None], columns] = coco_mask.iou(left, right, [0] * len(right))
    return iou


def _shared_frames(a: TrackSet, b: TrackSet) -> Iterable[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Frames with tracks of both sets, and the indices of these tracks."""
    left, right = a.present.T, b.present.T
    for t in np.flatnonzero(left.any(1) & right.any(1)).tolist():
        yield t, np.flatnonzero(left[t]), np.flatnonzero(right[t])


def box_overlap(
    a: FloatArray, b: FloatArray, precision: type[np.floating] = np.float32
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Intersection and union areas, (N, T, 4) and (M, T, 4) xywh -> two (T, N, M)."""
    left, right = a.astype(precision).transpose(1, 0, 2)[:, :, None], b.astype(precision).transpose(1, 0, 2)[:, None]
    low = np.maximum(left[..., :2], right[..., :2])
    high = np.minimum(left[..., :2] + left[..., 2:], right[..., :2] + right[..., 2:])
    common = np.maximum(high - low, 0).prod(-1)
    return common, left[..., 2:].prod(-1) + right[..., 2:].prod(-1) - common


def iou_masklets(a: TrackSet, b: TrackSet) -> FloatArray:
    """Pairwise space-time IoU, (len(a), len(b)): total intersection over total union; 1 if both tracks are empty.

    >>> pixel = coco_mask.encode(np.ones((1, 1), np.uint8, "F"))
    >>> one, two = ({"segmentations": s, "bboxes": [None] * 2} for s in ([pixel, None], [pixel, pixel]))
    >>> iou_masklets(TrackSet.of("segm", [one], 2), TrackSet.of("segm", [two], 2)).tolist()
    [[0.5]]
    """
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    if a.kind == "bbox":
        common, union = (x.sum(0) for x in box_overlap(a.boxes, b.boxes))
    else:
        iou = frame_iou(a, b)
        pixels = a.areas.T[:, :, None] + b.areas.T[:, None]  # (T, N, M)
        common = np.rint(iou * pixels / (1 + iou)).sum(0)  # intersections are integers
        union = pixels.sum(0) - common
    return np.divide(common, union, out=np.ones(common.shape), where=union > 0, dtype=np.float64)


@dataclass(frozen=True)
class VideoData:
    """Ground truth and predictions of a set of videos.

    frames: video id -> number of frames. categories: ids in file order. targets, predictions: (video id, category id)
    -> entries. pairs: all prompted (video id, category id) pairs, or None if the file does not list them.
    """

    frames: Mapping[Any, int]
    categories: Sequence[Any]
    targets: Mapping[Phrase, list[Entry]]
    predictions: Mapping[Phrase, list[Entry]]
    pairs: frozenset[Phrase] | None

    @property
    def phrases(self) -> list[Phrase]:
        """All (video, category) pairs in targets or predictions, sorted."""
        return sorted(self.targets.keys() | self.predictions.keys())

    def target_tracks(self, kind: str, phrase: Phrase, entries: Sequence[Entry] | None = None) -> TrackSet:
        """Targets of one phrase in one video, or only `entries`."""
        chosen = self.targets.get(phrase, []) if entries is None else entries
        return TrackSet.of(kind, chosen, self.frames[phrase[0]])

    def predicted_tracks(self, kind: str, phrase: Phrase, entries: Sequence[Entry] | None = None) -> TrackSet:
        """Predictions of one phrase in one video, or only `entries`."""
        chosen = self.predictions.get(phrase, []) if entries is None else entries
        return TrackSet.of(kind, chosen, self.frames[phrase[0]])


def load_videos(ground_truth: JsonSource, predictions: JsonSource) -> VideoData:
    """Read a YT-VIS file and a results list, as paths or loaded JSON.

    Raises `MetricError` if a file is invalid, or an entry has an unknown video or category.
    """
    truth = load_ground_truth(ground_truth, "videos", "annotations", "categories")
    frames = {v["id"]: _length(v) for v in truth["videos"]}
    categories = [c["id"] for c in truth["categories"]]
    known = frozenset(categories)
    pairs = truth.get("video_np_pairs")
    prompted = None if pairs is None else _pairs(pairs, frames, known)
    targets = _group(truth["annotations"], frames, known, "annotation")
    return VideoData(
        frames, categories, targets, _group(load_predictions(predictions), frames, known, "prediction"), prompted
    )


def _length(video: Entry) -> int:
    length = require(video, "length", "video")
    if not is_finite(length) or length < 0 or int(length) != length:
        raise MetricError(f"video {video['id']!r}: length is {length!r}, not a number of frames")
    return int(length)


def _pairs(pairs: Iterable[Any], videos: Mapping[Any, int], categories: frozenset[Any]) -> frozenset[Phrase]:
    """The prompted pairs of a file, without those of unknown videos and categories.

    Raises `MetricError` for what is no pair.
    """
    found, unknown = [], []
    for number, pair in enumerate(pairs):
        where = f"video_np_pairs[{number}]"
        if not isinstance(pair, Mapping):
            raise MetricError(f"{where} is no object")
        video, category = require(pair, "video_id", where), require(pair, "category_id", where)
        if not isinstance(video, Hashable) or not isinstance(category, Hashable) or video not in videos:
            unknown.append(f"{where} has video {video!r}")
        elif category not in categories:
            unknown.append(f"{where} has category {category!r}")
        else:
            found.append((video, category))
    if unknown:  # of a file that was cut to some of its videos
        log.warning("%s, which is not in the ground truth: it and %d others are left out", unknown[0], len(unknown) - 1)
    return frozenset(found)


def _group(
    entries: Iterable[Entry], videos: Mapping[Any, int], categories: frozenset[Any], what: str
) -> dict[Phrase, list[Entry]]:
    groups: dict[Phrase, list[Entry]] = defaultdict(list)
    for entry in entries:
        video, category = require(entry, "video_id", what), require(entry, "category_id", what)
        if video not in videos or category not in categories:
            raise MetricError(f"{what} of video {video!r} and category {category!r}, which are not in the ground truth")
        groups[video, category].append(entry)
    return dict(groups)


def is_crowd(target: Entry) -> bool:
    """Whether a target is a crowd."""
    return bool(target.get("iscrowd", 0))


def above(entries: Iterable[Entry], threshold: float, strict: bool = False) -> list[Entry]:
    """Predictions with a score of at least `threshold`, or above it if `strict`; finite numbers only."""
    known = list(entries)
    scores = finite_scores([require(e, "score", "prediction") for e in known]).tolist()
    return [e for s, e in zip(scores, known, strict=True) if s > threshold or (s == threshold and not strict)]
