"""COCO and LVIS AP of boxes and masks, on one data set or as the mean of several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evals.benchmark_types import Figures, percent
from evals.intervals import Draws, divide
from evals.samples import Detection, PhrasePrediction, PhraseSample, Rle
from evals.scorers.resampled_figures import resample_ap, resample_concepts
from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1
from sam3model.metrics.average_precision import ApResult, ApRules, AveragePrecision, match_unit, strongest
from sam3model.metrics.metric_result import mean_of_defined
from sam3model.metrics.overlap import FloatArray, iou_matrix, rle_areas
from sam3model.metrics.ytvis import ap_over

Box = tuple[float, float, float, float]
NAMES = {"bbox": "box", "segm": "mask"}
SURE = 0.5
"""Minimum score of the detections in the score of an image."""
LVIS_RULES = ApRules(max_detections=(300,))


@dataclass(frozen=True, slots=True, eq=False)
class DetectionTarget:
    """One annotation. box: xywh in pixels; mask: None if the data set has boxes only; area: as in the file."""

    box: Box
    mask: Rle | None
    area: float
    crowd: bool


@dataclass(frozen=True, slots=True, eq=False)
class ImageTargets:
    """Targets of an image.

    categories: ids, in the order of the phrases. targets: by category. unfinished: categories not annotated
    exhaustively; their unmatched detections are ignored (LVIS). groups: category -> rare, common or frequent.
    subset: the data set within a suite.
    """

    image_id: int
    categories: tuple[int, ...]
    targets: Mapping[int, tuple[DetectionTarget, ...]]
    unfinished: frozenset[int] = frozenset()
    groups: Mapping[int, str] = field(default_factory=dict)
    subset: str = ""


class DetectionScorer:
    """AP of boxes ("bbox") and masks ("segm"), each as the mean over subsets.

    max_per_image: keep only this many detections per image, those with the highest scores. concepts: also compute cgF1,
    over the prompted categories that are annotated exhaustively.
    """

    def __init__(
        self,
        kinds: Sequence[str] = ("bbox", "segm"),
        rules: ApRules | None = None,
        max_per_image: int | None = None,
        concepts: bool = False,
    ) -> None:
        self._kinds = tuple(kinds)
        self._rules = rules or ApRules()
        self._max_per_image = max_per_image
        self._concepts = ConceptF1() if concepts else None
        self._ap: dict[tuple[str, str], AveragePrecision] = {}
        self._groups: Mapping[int, str] = {}
        self._sample_of: dict[tuple[str, int], str] = {}

    def update(self, sample: PhraseSample[ImageTargets], prediction: PhrasePrediction) -> dict[str, float]:
        """Add all categories of an image; returns its F1 of detections with a score of at least 0.5."""
        image = sample.target
        self._sample_of[image.subset, image.image_id] = sample.key
        self._groups = image.groups
        for kind in self._kinds:
            self._ap.setdefault((image.subset, kind), AveragePrecision(self._rules))
        minimum = self._minimum_score(prediction)
        for category, detections in zip(image.categories, prediction.detections, strict=True):
            targets = image.targets.get(category, ())
            counted = [d for d in detections if d.score >= minimum]
            if targets or counted:
                for kind in self._kinds:
                    self._match(kind, image, category, targets, counted)
            if self._concepts is not None and category not in image.unfinished:
                masks, scores = [d.mask for d in detections], [d.score for d in detections]
                self._concepts.update((image.image_id, category), [t.mask for t in targets], masks, scores)

        return {f"{NAMES[kind]} F1@0.5": self._f1(image, kind) for kind in self._kinds}

    def _f1(self, image: ImageTargets, kind: str) -> float:
        """F1 of an image at an IoU of 0.5; 1 without targets and detections."""
        samples = self._ap[image.subset, kind].samples
        matches = [samples[c, image.image_id] for c in image.categories if (c, image.image_id) in samples]
        counted = [(one, (one.scores >= SURE) & ~one.ignored[0, 0]) for one in matches]
        hits = sum(int((one.matched[0, 0] & sure).sum()) for one, sure in counted)
        whole = sum(int(sure.sum()) + int(one.positives[0]) for one, sure in counted)
        return 2 * hits / whole if whole else 1.0

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """AP of boxes and masks, as the mean over subsets; whole images are drawn."""
        figures = {}
        for kind in self._kinds:
            parts = [
                resample_ap(metric, draws, lambda image, subset=subset: self._sample_of[subset, image])
                for (subset, own), metric in sorted(self._ap.items())
                if own == kind
            ]
            values = np.stack(parts)
            defined = np.isfinite(values)
            totals = np.where(defined, values, 0).sum(0)
            figures[f"{NAMES[kind]} AP"] = divide(totals, defined.sum(0).astype(np.float64))
        if self._concepts is not None and self._concepts.samples:
            keys = [self._sample_of["", image] for image, _ in self._concepts.samples]
            figures |= resample_concepts(self._concepts.samples, keys, draws)
        return figures

    def _minimum_score(self, prediction: PhrasePrediction) -> float:
        """Minimum score of the detections that count in this image."""
        scores = sorted((d.score for group in prediction.detections for d in group), reverse=True)
        return scores[self._max_per_image - 1] if self._max_per_image and len(scores) > self._max_per_image else 0.0

    def _match(
        self,
        kind: str,
        image: ImageTargets,
        category: int,
        targets: Sequence[DetectionTarget],
        detections: Sequence[Detection],
    ) -> None:
        scores = np.array([d.score for d in detections], np.float64)
        order = strongest(scores, self._rules.max_detections[-1])
        ranked = [detections[i] for i in order]
        crowd = np.array([t.crowd for t in targets], bool)
        if kind == "bbox":
            iou = iou_matrix(kind, [d.box for d in ranked], [t.box for t in targets], crowd.tolist())
            areas = np.array([d.box[2] * d.box[3] for d in ranked], np.float64)
        else:
            iou = iou_matrix(kind, [d.mask for d in ranked], [t.mask for t in targets], crowd.tolist())
            areas = rle_areas([d.mask for d in ranked]).astype(np.float64)
        target_areas = np.array([t.area for t in targets], np.float64)
        matches = match_unit(iou, scores[order], target_areas, areas, crowd, self._rules)
        if category in image.unfinished:
            matches = matches._replace(ignored=matches.ignored | ~matches.matched)
        self._ap[image.subset, kind].add((category, image.image_id), matches)

    def compute(self) -> Figures:
        """AP and the other COCO figures of boxes and masks, cgF1 if `concepts`, then the AP of each subset."""
        if not self._ap:
            raise MetricError("no images to score")
        results = {key: metric.compute() for key, metric in sorted(self._ap.items())}
        figures = {
            f"{NAMES[kind]} {name}": value for kind in self._kinds for name, value in self._kind(kind, results).items()
        }
        if self._concepts is not None and self._concepts.samples:
            concepts = self._concepts.compute()
            figures |= {"cgF1": 100 * concepts.cgf1, "pmF1": 100 * concepts.pmf1, "IL_MCC": concepts.il_mcc}
        subsets = {subset: result for (subset, kind), result in results.items() if subset and kind == self._kinds[0]}
        kind = NAMES[self._kinds[0]]
        return figures | {f"{kind} AP {subset}": percent(result.ap) for subset, result in subsets.items()}

    def _kind(self, kind: str, results: Mapping[tuple[str, str], ApResult]) -> dict[str, float]:
        own = [result for (_, other), result in results.items() if other == kind]
        figures = {name: mean_of_defined([percent(r.stats[name]) for r in own]) for name in own[0].stats}
        for group in dict.fromkeys(filter(None, self._groups.values())):
            members = [category for category, name in self._groups.items() if name == group]
            figures[f"AP_{group}"] = percent(ap_over(own[0], members))
        return figures
