"""TETA: track every thing accuracy (Li et al., ECCV 2022), with the exhaustive mode of SA-Co/VEval.

Localisation, association and classification are scored separately. A detection counts for the class of the target that
it overlaps, whatever its predicted class, so annotations may be incomplete; exhaustive mode also counts detections that
overlap no target. Figures are percentages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.hota import EPSILON, AssociationSums, BoolArray, associate, pair_up
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.overlap import FloatArray

ALPHAS: FloatArray = np.arange(0, 0.99, 0.05)
CLASSIFIED = slice(10, None)  # alphas from 0.5 on
OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class TetaCounts:
    """Sums of one class, additive over videos. loc_*, assoc_*: per alpha (20,); cls_*: per alpha from 0.5 on (10,)."""

    loc_tp: FloatArray
    loc_fn: FloatArray
    loc_fp: FloatArray
    assoc: FloatArray
    assoc_recall: FloatArray
    assoc_precision: FloatArray
    cls_tp: FloatArray
    cls_fn: FloatArray
    cls_fp: FloatArray

    @classmethod
    def zeros(cls) -> "TetaCounts":
        """Zero counts."""
        return cls(*np.zeros((6, len(ALPHAS))), *np.zeros((3, len(ALPHAS[CLASSIFIED]))))

    def __add__(self, other: "TetaCounts") -> "TetaCounts":
        return TetaCounts(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))

    def figures(self) -> dict[str, float]:
        """The ten figures of this class, averaged over alphas, 0 to 1."""
        loc, cls = (
            {
                "a": tp / np.maximum(1, tp + fn + fp),
                "re": tp / np.maximum(1, tp + fn),
                "pr": tp / np.maximum(1, tp + fp),
            }
            for tp, fn, fp in ((self.loc_tp, self.loc_fn, self.loc_fp), (self.cls_tp, self.cls_fn, self.cls_fp))
        )
        sums = {"a": self.assoc, "re": self.assoc_recall, "pr": self.assoc_precision}
        parts = {"loc": loc, "assoc": {k: v / np.maximum(1, self.loc_tp) for k, v in sums.items()}, "cls": cls}
        means = {
            f"{p}_{k}": float(v.mean()) for k in ("a", "re", "pr") for p, values in parts.items() for v in (values[k],)
        }
        return {"teta": (means["loc_a"] + means["assoc_a"] + means["cls_a"]) / 3, **means}


class VideoTracks(NamedTuple):
    """One video: similarity of all targets and detections, presence and classes.

    similarity: (T, G, P). targets: (T, G), predictions: (T, P) presence. target_class: (G,), predicted_class: (P,).
    """

    similarity: FloatArray
    targets: BoolArray
    predictions: BoolArray
    target_class: NDArray[Any]
    predicted_class: NDArray[Any]

    def frames(self, used: BoolArray) -> "VideoTracks":
        """The video restricted to some frames."""
        return VideoTracks(self.similarity[used], self.targets[used], self.predictions[used], *self[3:])

    def choose(self, targets: BoolArray, predictions: BoolArray) -> "VideoTracks":
        """The video restricted to some targets and detections."""
        kept = self.similarity[:, targets][:, :, predictions]
        classes = self.target_class[targets], self.predicted_class[predictions]
        return VideoTracks(kept, self.targets[:, targets], self.predictions[:, predictions], *classes)


def assigned_targets(video: VideoTracks) -> NDArray[np.intp]:
    """Target assigned to each detection in each frame, ignoring classes, (T, P); -1 for none."""
    owner = np.full(video.predictions.shape, -1)
    near = np.any(video.similarity >= OVERLAP, axis=(0, 1))
    everyone = np.ones(len(video.target_class), bool)
    pairs = pair_up(*video.choose(everyone, near)[:3])
    sure = pairs.similarity >= OVERLAP - EPSILON
    owner[pairs.frame[sure], np.flatnonzero(near)[pairs.prediction[sure]]] = pairs.target[sure]
    return owner


def count_video(
    video: VideoTracks, classes: list[Any], exhaustive: bool, reference_behaviour: bool
) -> dict[Any, TetaCounts]:
    """Counts of every class in one video; see `Teta`."""
    counts = {c: TetaCounts.zeros() for c in classes}
    owner = assigned_targets(video)
    for c in classes:
        chosen, predicted = video.target_class == c, video.predicted_class == c
        overlapping = np.any(video.similarity[:, chosen] >= OVERLAP, axis=1)  # (T, P)
        if len(chosen):
            overlapping &= (owner < 0) | chosen[owner]
        predicted_count = int(video.predictions[:, predicted].sum())
        if not overlapping.any():
            counts[c].loc_fn[:] += video.targets[:, chosen].sum()
            if exhaustive and reference_behaviour:
                counts[c].cls_fp[:] = predicted_count
            elif exhaustive:
                counts[c].cls_fp[:] += predicted_count
            continue
        if exhaustive:
            counts[c].cls_fp[:] += predicted_count - int((overlapping & predicted).sum())
        _count_class(video, chosen, overlapping, c, counts, 0.0 if reference_behaviour else EPSILON)
    return counts


def _count_class(
    video: VideoTracks, chosen: BoolArray, overlapping: BoolArray, c: Any, counts: dict[Any, TetaCounts], minimum: float
) -> None:
    """Count the targets of one class against the detections that overlap them in any frame."""
    candidates: BoolArray = np.any(overlapping, axis=0)
    part, overlapping = video.choose(chosen, candidates), overlapping[:, candidates]
    pairs = pair_up(*part[:3])
    hits = (pairs.similarity >= ALPHAS[:, None] - EPSILON) & (pairs.similarity >= minimum)  # (A, pairs)
    sums: AssociationSums = associate(pairs, hits, part.targets, part.predictions)
    own = counts[c]
    own.loc_tp[:] += sums.matches
    own.loc_fn[:] += part.targets.sum() - sums.matches
    own.loc_fp[:] += overlapping.sum() - (hits & overlapping[pairs.frame, pairs.prediction]).sum(1)
    own.assoc[:] += sums.accuracy
    own.assoc_recall[:] += sums.recall
    own.assoc_precision[:] += sums.precision
    labels = part.predicted_class[pairs.prediction]
    for label in set(labels.tolist()):
        matched = hits[CLASSIFIED, labels == label].sum(1)
        if label == c:
            own.cls_tp[:] += matched
            continue
        own.cls_fn[:] += matched
        if label in counts:
            counts[label].cls_fp[:] += matched


@dataclass(frozen=True, slots=True)
class TetaResult(MetricResult):
    """figures: teta, loc_a, assoc_a, cls_a, recalls (_re) and precisions (_pr) in percent; nan without classes.

    per_class: the same for every class with localisation counts.
    """

    figures: Mapping[str, float]
    per_class: Mapping[Any, Mapping[str, float]]

    @property
    def teta(self) -> float:
        """TETA in percent, the headline figure."""
        return self.figures["teta"]

    def summary(self) -> dict[str, float]:
        """The ten figures."""
        return dict(self.figures)


class Teta(Aggregate[dict[Any, TetaCounts]]):
    """TETA over videos; picklable, shards can be merged.

    exhaustive: annotations are complete; also count detections that overlap no target of their predicted class.
    reference_behaviour: reproduce two bugs of the official code. At alpha 0 it counts every assigned pair, even without
    overlap. If a class has no target or no overlapping detection in a video, it overwrites the false positives of the
    class with the number of its detections, and those counted for other classes are lost.
    Only frames with a target are scored, as in the definition; detections in other frames are ignored.
    """

    def __init__(self, exhaustive: bool = True, reference_behaviour: bool = False):
        super().__init__()
        self.exhaustive = exhaustive
        self.reference_behaviour = reference_behaviour

    def update(self, key: Any, video: VideoTracks, classes: list[Any]) -> None:
        """Add one video. classes: those with a target in the data set. Raises `MetricError` if the key exists."""
        used = video.frames(np.any(video.targets, axis=1))
        self.add(key, count_video(used, classes, self.exhaustive, self.reference_behaviour))

    def compute(self) -> TetaResult:
        """Return the figures; nan if no class has a target."""
        totals: dict[Any, TetaCounts] = {}
        for counts in self.samples.values():
            for c, part in counts.items():
                totals[c] = totals[c] + part if c in totals else part
        counted = {c: t.figures() for c, t in totals.items() if (t.loc_tp + t.loc_fn + t.loc_fp).any()}
        per_class = {c: {n: 100 * v for n, v in figures.items()} for c, figures in counted.items()}
        names = TetaCounts.zeros().figures()
        mean = {n: float(np.mean([f[n] for f in per_class.values()])) if per_class else float("nan") for n in names}
        return TetaResult(mean, per_class)
