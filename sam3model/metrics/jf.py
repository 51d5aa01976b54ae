"""J&F of video object segmentation, as in DAVIS, MOSE and SA-V."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sam3model.errors import MetricError
from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.boundary import boundary_radius, region_and_boundary
from sam3model.metrics.column_runs import decode_runs
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.overlap import FloatArray, Rle, as_rle, coco_mask, rle_iou

Track = Sequence[Rle | None]


class TrackQuality(NamedTuple):
    """J and F of an object per frame, each (T,), 0 to 1; empty if the object is not scored."""

    j: FloatArray
    f: FloatArray


def frame_quality(targets: Track, predictions: Track) -> tuple[TrackQuality, FloatArray]:
    """J and F in every frame, and the areas of target and prediction (T, 2); None is an empty mask.

    Raises `MetricError` if the numbers of frames or the sizes of masks differ.
    """
    if len(targets) != len(predictions):
        raise MetricError(f"{len(targets)} frames of ground truth but {len(predictions)} of prediction")
    frames, masks = len(targets), [*targets, *predictions]
    known = next((m for m in masks if m is not None), None)
    if known is None:
        return TrackQuality(np.ones(frames), np.ones(frames)), np.zeros((frames, 2))
    height, width = known["size"]
    empty = as_rle(np.zeros((height, width)))
    runs = decode_runs([m or empty for m in masks], height, width)
    radius = boundary_radius(height, width)
    pairs = list(zip(runs[:frames], runs[frames:], strict=True))
    quality = np.array([region_and_boundary(t, p, height, width, radius) for t, p in pairs]).reshape(-1, 2)
    return TrackQuality(*quality.T), np.array([(t.area, p.area) for t, p in pairs], np.float64).reshape(-1, 2)


def object_quality(targets: Track, predictions: Track, skip_ends: bool = True) -> TrackQuality:
    """J and F of an object in its scored frames.

    skip_ends: leave out the first and the last frame. Frames before the object first appears in target or prediction
    are not scored. An object without target pixels has no score.
    """
    inner = slice(1, -1) if skip_ends else slice(None)
    quality, areas = frame_quality(targets[inner], predictions[inner])
    if not areas[:, 0].any():
        return TrackQuality(np.zeros(0), np.zeros(0))
    first = int(areas.any(1).argmax())
    return TrackQuality(quality.j[first:], quality.f[first:])


def without_overlaps(tracks: Sequence[Track]) -> list[list[Rle | None]]:
    """Remove overlaps, as in a label map: a pixel in several masks of a frame belongs to the last track.

    Raises `MetricError` if the tracks have different lengths.
    """
    if not require_same_length(tracks):
        return [[] for _ in tracks]
    frames = [_exclusive(list(masks)) for masks in zip(*tracks, strict=True)]
    return [list(track) for track in zip(*frames, strict=True)]


def require_same_length(tracks: Sequence[Track]) -> int:
    """The number of frames of all tracks, 0 without tracks. Raises `MetricError` if it differs."""
    lengths = sorted({len(track) for track in tracks})
    if len(lengths) > 1:
        raise MetricError(f"tracks of one video have {lengths[0]} and {lengths[-1]} frames: give each all frames")
    return lengths[0] if lengths else 0


def _exclusive(masks: list[Rle | None]) -> list[Rle | None]:
    present = [m for m in masks if m is not None]
    if not np.triu(rle_iou(present, present), 1).any():
        return masks
    labels = np.zeros(present[0]["size"], np.int64)
    for k, mask in enumerate(masks, 1):
        if mask is not None:
            labels[coco_mask.decode(mask) > 0] = k
    return [mask and as_rle(labels == k) for k, mask in enumerate(masks, 1)]


@dataclass(frozen=True, slots=True)
class JFResult(MetricResult):
    """J&F in percent.

    jf: mean of j and f; j, f: means over objects of means over frames. objects: "video/object" -> (J, F).
    unscored: objects without target pixels in the scored frames, left out of every mean.
    """

    jf: float
    j: float
    f: float
    objects: Mapping[str, tuple[float, float]]
    unscored: tuple[str, ...]

    def summary(self) -> dict[str, float]:
        """J&F, J, F and the number of objects."""
        return {"J&F": self.jf, "J": self.j, "F": self.f, "objects": len(self.objects)}


class JAndF(Aggregate[TrackQuality]):
    """J&F over objects of videos; picklable, shards can be merged.

    skip_ends: leave out the first and the last frame, as in DAVIS, MOSE and SA-V.
    reference_behaviour: raise on an object without target pixels in the scored frames, as the official SA-V evaluator
    does; by default it is listed in `unscored`, as in DAVIS.

    >>> pixel = as_rle(np.eye(4))
    >>> metric = JAndF()
    >>> metric.update("video", "1", [pixel] * 3, [pixel] * 3)
    >>> metric.compute().jf
    100.0
    """

    def __init__(self, skip_ends: bool = True, reference_behaviour: bool = False):
        super().__init__()
        self.skip_ends = skip_ends
        self.reference_behaviour = reference_behaviour

    def update(self, video: Any, name: Any, targets: Track, predictions: Track) -> None:
        """Add one object: a mask or None for every frame, including the first and the last.

        Raises `MetricError` if lengths or mask sizes differ, or the object was added before.
        """
        try:
            quality = object_quality(targets, predictions, self.skip_ends)
        except MetricError as error:
            raise MetricError(f"{video}/{name}: {error}") from error
        if self.reference_behaviour and not quality.j.size:
            raise MetricError(f"{video}/{name}: no target pixel in the scored frames")
        self.add((video, name), quality)

    def update_label_maps(self, video: Any, targets: Mapping[Any, Track], predictions: Mapping[Any, Track]) -> None:
        """Add a video of label maps: later objects hide earlier ones, in target and prediction.

        Objects that are only predicted have no score but hide others. A missing prediction counts as empty.
        """
        exclusive = dict(zip(targets, without_overlaps(list(targets.values())), strict=True))
        predicted = dict(zip(predictions, without_overlaps(list(predictions.values())), strict=True))
        for name, track in exclusive.items():
            self.update(video, name, track, predicted.get(name) or [None] * len(track))

    def compute(self) -> JFResult:
        """Return the figures. Raises `MetricError` if no object has a score."""
        names = {key: "/".join(map(str, key)) for key in self.samples}
        means = {n: _percent(q) for k, n in names.items() if (q := self.samples[k]).j.size}
        if not means:
            raise MetricError("JAndF: no object has a target pixel in the scored frames")
        j, f = np.mean(list(means.values()), 0).tolist()
        return JFResult((j + f) / 2, j, f, means, tuple(n for n in names.values() if n not in means))


def _percent(quality: TrackQuality) -> tuple[float, float]:
    return 100 * float(quality.j.mean()), 100 * float(quality.f.mean())
