"""cgF1 and its components over (image, phrase) pairs, and phrase AP."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.benchmark_types import Figures, percent
from evals.intervals import Draws
from evals.samples import Detection, PhrasePrediction, PhraseSample, Rle
from evals.scorers.resampled_figures import concept_score, resample_ap, resample_concepts
from sam3model.errors import MetricError
from sam3model.metrics import ConceptF1, ConceptF1Result
from sam3model.metrics.average_precision import AveragePrecision, strongest
from sam3model.metrics.concept_f1 import SampleCounts
from sam3model.metrics.overlap import FloatArray, rle_iou


@dataclass(frozen=True, slots=True, eq=False)
class PhraseTarget:
    """Target of one phrase in one image. key: unique among all pairs; annotators: the masks of each annotator."""

    key: str
    annotators: tuple[tuple[Rle, ...], ...]
    subset: str = ""


class ConceptScorer:
    """cgF1, pmF1 and IL_MCC, each as the mean over subsets.

    ap: also the AP over all phrases together, against the first annotator.
    """

    def __init__(self, ap: bool = False) -> None:
        self._f1: dict[str, ConceptF1] = {}
        self._ap = AveragePrecision() if ap else None
        self._sample_of: dict[str, str] = {}

    def update(self, sample: PhraseSample[Sequence[PhraseTarget]], prediction: PhrasePrediction) -> dict[str, float]:
        """Add all phrases of an image; returns their mean F1."""
        counts: list[SampleCounts] = []
        for target, detections in zip(sample.target, prediction.detections, strict=True):
            metric = self._f1.setdefault(target.subset, ConceptF1())
            masks, scores = [d.mask for d in detections], [d.score for d in detections]
            metric.update_annotators(target.key, target.annotators, masks, scores)
            if self._ap is not None:
                _rank(self._ap, target.key, target.annotators[0], detections)
            self._sample_of[target.key] = sample.key
            counts.append(metric.samples[target.key])
        return {"F1": concept_score(counts)}

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """cgF1, pmF1, IL_MCC and AP; whole images are drawn."""
        parts = [
            resample_concepts(metric.samples, [self._sample_of[key] for key in metric.samples], draws)
            for metric in self._f1.values()
        ]
        figures = {name: np.mean([part[name] for part in parts], 0) for name in HEADLINE}
        if self._ap is not None:
            figures["AP"] = resample_ap(self._ap, draws, self._sample_of.__getitem__)
        return figures

    def compute(self) -> Figures:
        """Means over subsets, then the headline figures of each subset."""
        if not self._f1:
            raise MetricError("no phrases to score")
        parts = {subset: _figures(metric.compute()) for subset, metric in sorted(self._f1.items())}
        figures = {name: float(np.mean([part[name] for part in parts.values()])) for name in next(iter(parts.values()))}
        if self._ap is not None:
            stats = self._ap.compute().stats
            figures |= {name: percent(stats[name]) for name in ("AP", "AP_50", "AP_75")}
        figures["pairs"] = sum(len(metric.samples) for metric in self._f1.values())
        if len(parts) > 1:
            figures |= {f"{subset} {name}": part[name] for subset, part in parts.items() for name in HEADLINE}
        return figures


HEADLINE = ("cgF1", "pmF1", "IL_MCC")


def _figures(result: ConceptF1Result) -> dict[str, float]:
    summary = result.summary()
    return {
        "cgF1": 100 * result.cgf1,
        "pmF1": 100 * result.pmf1,
        "IL_MCC": result.il_mcc,
        "IL_F1": 100 * summary["IL_F1"],
        "IL_FPR": 100 * summary["IL_FPR"],
        "cgF1@0.5": 100 * summary["cgF1@0.5"],
        "cgF1@0.75": 100 * summary["cgF1@0.75"],
    }


def _rank(metric: AveragePrecision, key: str, targets: Sequence[Rle], detections: Sequence[Detection]) -> None:
    scores = np.array([d.score for d in detections], np.float64)
    order = strongest(scores, metric.rules.max_detections[-1])
    metric.update("phrase", key, rle_iou([detections[i].mask for i in order], targets), scores[order])
