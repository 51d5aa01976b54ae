"""OmniLabel AP: the detections of all (image, description) pairs of a group are ranked together."""

from dataclasses import dataclass

from evals.benchmark_types import Figures, percent
from evals.samples import QuestionPrediction, QuestionSample
from sam3model.metrics.omnilabel_ap import OmniLabelAp


@dataclass(frozen=True, slots=True, eq=False)
class DescriptionTarget:
    """Target of a description in an image. kind: "C" for a category name, "D" for others; boxes: xywh in pixels."""

    image_id: int
    description_id: int
    kind: str
    boxes: tuple[tuple[float, float, float, float], ...]


class OmniLabelScorer:
    """AP of categories, of descriptions and of groups of descriptions; AP is the harmonic mean of the first two."""

    def __init__(self) -> None:
        self._metric = OmniLabelAp()

    def update(self, sample: QuestionSample[DescriptionTarget], prediction: QuestionPrediction) -> dict[str, float]:
        """Add one description, with the masks that the agent selected; returns its F1 at an IoU of 0.5."""
        target, detections = sample.target, prediction.detections
        boxes, scores = [d.box for d in detections], [d.score for d in detections]
        number = target.description_id
        self._metric.update(target.image_id, number, sample.question, target.kind, target.boxes, boxes, scores)
        hits = int(self._metric.samples[target.image_id, number].matches.matched[0, 0].sum())
        whole = len(boxes) + len(target.boxes)
        return {"F1@0.5": 2 * hits / whole if whole else 1.0}

    def compute(self) -> Figures:
        """Percentages; -1 for a group without target boxes."""
        figures = {name: percent(value) for name, value in self._metric.compute().summary().items()}
        return figures | {"questions": len(self._metric.samples)}
