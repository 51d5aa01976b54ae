"""OmniLabel AP: the detections of all (image, description) pairs of a group are ranked together."""

from dataclasses import dataclass

import numpy as np

from evals.benchmark_types import Figures
from evals.samples import QuestionPrediction, QuestionSample
from sam3model.metrics.average_precision import AveragePrecision, strongest
from sam3model.metrics.overlap import iou_matrix

GROUPS = ("categ", "descr", "descr-Pos", "descr-S", "descr-M", "descr-L")
MAX_SHORT, MAX_MEDIUM = 3, 8
"""Maximum number of words of a short and a medium description."""
EPSILON = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class DescriptionTarget:
    """Target of a description in an image. free: free-form, not a category name; boxes: xywh in pixels."""

    image_id: int
    description_id: int
    free: bool
    boxes: tuple[tuple[float, float, float, float], ...]


class OmniLabelScorer:
    """AP of categories, of descriptions and of groups of descriptions; AP is the harmonic mean of the first two."""

    def __init__(self) -> None:
        self._groups = {name: AveragePrecision() for name in GROUPS}

    def update(self, sample: QuestionSample[DescriptionTarget], prediction: QuestionPrediction) -> None:
        """Add one description; its detections are the masks that the agent selected."""
        target = sample.target
        scores = np.array([d.score for d in prediction.detections], np.float64)
        order = strongest(scores, 100)
        iou = iou_matrix("bbox", [prediction.detections[i].box for i in order], target.boxes)
        for name in _groups_of(sample):
            self._groups[name].update(0, (target.image_id, target.description_id), iou, scores[order])

    def compute(self) -> Figures:
        """Percentages; -1 for a group without target boxes."""
        aps = {name: metric.compute().ap if metric.samples else -1.0 for name, metric in self._groups.items()}
        categories, descriptions = aps["categ"], aps["descr"]
        mean = 2 * categories * descriptions / (categories + descriptions + EPSILON)
        total = mean if min(categories, descriptions) >= 0 else -1.0
        figures = {"AP": total} | {f"AP-{name}": value for name, value in aps.items()}
        counts = {"questions": len(self._groups["categ"].samples) + len(self._groups["descr"].samples)}
        return {name: 100 * value if value >= 0 else -1.0 for name, value in figures.items()} | counts


def _groups_of(sample: QuestionSample[DescriptionTarget]) -> list[str]:
    if not sample.target.free:
        return ["categ"]
    words = len(sample.question.split())
    length = "descr-S" if words <= MAX_SHORT else "descr-M" if words <= MAX_MEDIUM else "descr-L"
    return ["descr", length, *(["descr-Pos"] if sample.target.boxes else [])]
