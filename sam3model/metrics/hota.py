"""HOTA: higher order tracking accuracy (Luiten et al., IJCV 2021), for one or more sequences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sam3model.metrics.aggregate import Aggregate
from sam3model.metrics.assignment import best_pairs
from sam3model.metrics.metric_result import MetricResult
from sam3model.metrics.overlap import FloatArray

ALPHAS: FloatArray = np.arange(0.05, 0.99, 0.05)
EPSILON = float(np.finfo(np.float64).eps)
BoolArray = NDArray[np.bool_]


class Pairing(NamedTuple):
    """Assigned pairs of a sequence: indices of frame, target and prediction, and similarity, each (pairs,)."""

    frame: NDArray[np.intp]
    target: NDArray[np.intp]
    prediction: NDArray[np.intp]
    similarity: FloatArray


def align(similarity: FloatArray, targets: BoolArray, predictions: BoolArray) -> FloatArray:
    """Alignment of targets with predictions over the whole sequence, (G, P), 0 to 1.

    similarity: (T, G, P), 0 if either is absent. targets, predictions: presence, (T, G) and (T, P).
    """
    rivals = similarity.sum(2, keepdims=True) + similarity.sum(1, keepdims=True) - similarity
    shared = np.divide(similarity, rivals, out=np.zeros_like(similarity), where=rivals > EPSILON).sum(0)
    total = targets.sum(0)[:, None] + predictions.sum(0) - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


def pair_up(similarity: FloatArray, targets: BoolArray, predictions: BoolArray) -> Pairing:
    """Assign targets to predictions in each frame, maximising alignment times similarity."""
    value = align(similarity, targets, predictions) * similarity
    parts: list[tuple[Any, ...]] = []
    for t in np.flatnonzero(targets.any(1) & predictions.any(1)):
        g, p = np.flatnonzero(targets[t]), np.flatnonzero(predictions[t])
        rows, columns = best_pairs(value[t, g[:, None], p])
        parts.append((np.full(len(rows), t), g[rows], p[columns]))
    frame, target, prediction = (
        (np.concatenate(x) for x in zip(*parts, strict=True)) if parts else (np.zeros(0, int),) * 3
    )
    return Pairing(frame, target, prediction, similarity[frame, target, prediction])


class AssociationSums(NamedTuple):
    """Per alpha, (A,): number of matches, and sums of association accuracy, recall and precision over matches."""

    matches: FloatArray
    accuracy: FloatArray
    recall: FloatArray
    precision: FloatArray


def associate(pairs: Pairing, hits: BoolArray, targets: BoolArray, predictions: BoolArray) -> AssociationSums:
    """Association sums of the matches. hits: (A, pairs), whether a pair is a match."""
    lengths, predicted = targets.sum(0), predictions.sum(0)
    alpha, index = np.nonzero(hits)
    size = len(lengths) * len(predicted)
    cell = pairs.target[index] * len(predicted) + pairs.prediction[index]
    counts = np.bincount(alpha * size + cell, minlength=len(hits) * size).reshape(
        len(hits), len(lengths), len(predicted)
    )
    squares, rows, columns = counts.astype(np.float64) ** 2, lengths[:, None], predicted[None]
    ratios = (squares / np.maximum(1, total) for total in (rows + columns - counts, rows, columns))
    return AssociationSums(counts.sum((1, 2), dtype=np.float64), *(r.sum((1, 2)) for r in ratios))


@dataclass(frozen=True, slots=True)
class HotaCounts:
    """Sums per alpha, each (19,), additive over sequences."""

    tp: FloatArray
    fn: FloatArray
    fp: FloatArray
    association: FloatArray
    association_recall: FloatArray
    association_precision: FloatArray
    similarity: FloatArray

    def __add__(self, other: "HotaCounts") -> "HotaCounts":
        return HotaCounts(*(getattr(self, n) + getattr(other, n) for n in self.__slots__))


def count_sequence(similarity: FloatArray, targets: BoolArray, predictions: BoolArray) -> HotaCounts:
    """Counts of one sequence; arguments as in `align`.

    >>> always = np.ones((2, 1), bool)
    >>> round(curves(count_sequence(np.full((2, 1, 1), 0.51), always, always))["HOTA"].mean(), 3).item()
    0.526
    """
    pairs = pair_up(similarity, targets, predictions)
    hits = pairs.similarity >= ALPHAS[:, None] - EPSILON  # (A, pairs)
    sums = associate(pairs, hits, targets, predictions)
    located = (hits * pairs.similarity).sum(1)
    missed, false = targets.sum() - sums.matches, predictions.sum() - sums.matches
    return HotaCounts(sums.matches, missed, false, sums.accuracy, sums.recall, sums.precision, located)


def curves(c: HotaCounts) -> dict[str, FloatArray]:
    """Figures per alpha, name -> (19,). LocA is 1 without matches; HOTA_TP, HOTA_FN and HOTA_FP are counts."""
    any_, re, pr = (np.maximum(1, x) for x in (c.tp, c.tp + c.fn, c.tp + c.fp))
    det, ass = c.tp / np.maximum(1, c.tp + c.fn + c.fp), c.association / any_
    return {
        "HOTA": np.sqrt(det * ass),
        "DetA": det,
        "AssA": ass,
        "DetRe": c.tp / re,
        "DetPr": c.tp / pr,
        "AssRe": c.association_recall / any_,
        "AssPr": c.association_precision / any_,
        "LocA": np.maximum(1e-10, c.similarity) / np.maximum(1e-10, c.tp),
        "OWTA": np.sqrt(c.tp / re * ass),
        "HOTA_TP": c.tp,
        "HOTA_FN": c.fn,
        "HOTA_FP": c.fp,
    }


def mean_curves(classes: Iterable[HotaCounts]) -> dict[str, FloatArray]:
    """Mean of the curves of several classes, including empty ones (with LocA 1); counts are summed."""
    every = [curves(counts) for counts in classes]
    joined = {name: [of_class[name] for of_class in every] for name in every[0]}
    return {name: np.sum(v, 0) if name.startswith("HOTA_") else np.mean(v, 0) for name, v in joined.items()}


@dataclass(frozen=True, slots=True)
class HotaResult(MetricResult):
    """combined: figures over all sequences. sequences: figures of each sequence, by key."""

    combined: Mapping[str, FloatArray]
    sequences: Mapping[Any, Mapping[str, FloatArray]]

    @property
    def hota(self) -> float:
        """HOTA averaged over the alphas, the headline figure."""
        return self.summary()["HOTA"]

    def summary(self) -> dict[str, float]:
        """HOTA, DetA, AssA, DetRe, DetPr, AssRe, AssPr, LocA, OWTA, averaged over the alphas, 0 to 1."""
        return {n: float(v.mean()) for n, v in self.combined.items() if not n.startswith("HOTA_")}


class Hota(Aggregate[HotaCounts]):
    """HOTA over sequences; picklable, shards can be merged. Keys may be (video, class) pairs.

    class_average: average the figures over classes (the second item of a key) instead of summing over all sequences.
    """

    def __init__(self, class_average: bool = False):
        super().__init__()
        self.class_average = class_average

    def update(self, key: Any, similarity: FloatArray, targets: BoolArray, predictions: BoolArray) -> None:
        """Add one sequence: similarity (T, G, P), 0 if either is absent, and presence (T, G), (T, P)."""
        self.add(key, count_sequence(similarity, targets, predictions))

    def compute(self) -> HotaResult:
        """Return the figures. Raises `MetricError` if there are no sequences."""
        self.require_samples()
        sequences = {key: curves(counts) for key, counts in self.samples.items()}
        classes: dict[Any, HotaCounts] = {}
        for key, counts in self.samples.items():
            group = key[1] if self.class_average else None
            classes[group] = classes[group] + counts if group in classes else counts
        return HotaResult(mean_curves(classes.values()), sequences)
