"""OmniLabel's AP: detections of all (picture, description) pairs of a group in one ranking."""

from dataclasses import dataclass

import numpy as np

from evals.registry import Answered, Figures, QuestionSample
from sam3model.metrics.average_precision import AveragePrecision, strongest
from sam3model.metrics.overlap import iou_matrix

GROUPS = ("categ", "descr", "descr-Pos", "descr-S", "descr-M", "descr-L")
SHORT, MEDIUM = 3, 8
"""Most words of a short and of a medium description."""
EPSILON = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Truth of a description in a picture. free: a free-form description, not a plain category; boxes: xywh pixels."""

    image: int
    description: int
    free: bool
    boxes: tuple[tuple[float, float, float, float], ...]


class OmniLabelScorer:
    """AP (the harmonic mean of the next two), AP of categories and of descriptions, and of groups of the latter."""

    def __init__(self) -> None:
        self._groups = {name: AveragePrecision() for name in GROUPS}

    def update(self, sample: QuestionSample[Described], prediction: Answered) -> None:
        """Add one description; what the agent selected are its detections."""
        truth = sample.truth
        scores = np.array([d.score for d in prediction.detections], np.float64)
        order = strongest(scores, 100)
        iou = iou_matrix("bbox", [prediction.detections[i].box for i in order], truth.boxes)
        for name in _groups_of(sample):
            self._groups[name].update(0, (truth.image, truth.description), iou, scores[order])

    def compute(self) -> Figures:
        """In percent; -1 for a group without any box."""
        aps = {name: metric.compute().ap if metric.samples else -1.0 for name, metric in self._groups.items()}
        categories, descriptions = aps["categ"], aps["descr"]
        mean = 2 * categories * descriptions / (categories + descriptions + EPSILON)
        total = mean if min(categories, descriptions) >= 0 else -1.0
        figures = {"AP": total} | {f"AP-{name}": value for name, value in aps.items()}
        counts = {"questions": len(self._groups["categ"].samples) + len(self._groups["descr"].samples)}
        return {name: 100 * value if value >= 0 else -1.0 for name, value in figures.items()} | counts


def _groups_of(sample: QuestionSample[Described]) -> list[str]:
    if not sample.truth.free:
        return ["categ"]
    words = len(sample.question.split())
    length = "descr-S" if words <= SHORT else "descr-M" if words <= MEDIUM else "descr-L"
    return ["descr", length, *(["descr-Pos"] if sample.truth.boxes else [])]
