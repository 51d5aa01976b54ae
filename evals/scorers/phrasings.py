"""How honest answers are: right, not understood, wrong with a warning, or silently wrong."""

from dataclasses import dataclass
from typing import Literal

from evals.benchmark_types import Figures
from evals.intervals import Draws
from evals.samples import QuestionPrediction, QuestionSample, Rle
from evals.scorers.referring import UNANSWERED
from sam3agent.knowledge import DRAWN_ONLY
from sam3agent.rules.remarks import DOUBTFUL
from sam3model.metrics.overlap import FloatArray, rle_iou

MIN_IOU = 0.5
"""Minimum overlap at which a mask counts as the object."""

Outcome = Literal["right", "not understood", "warned", "silently wrong"]


@dataclass(frozen=True, slots=True, eq=False)
class PhrasingTarget:
    """The objects that answer a question; None if nothing does, so that a bare answer or "no match" is wrong.

    partial: a part of the question is missing in the image, so that a bare answer is wrong too.
    """

    masks: tuple[Rle, ...] | None
    kind: str
    partial: bool = False


def outcome(target: PhrasingTarget, prediction: QuestionPrediction) -> Outcome:
    """What became of a question.

    A right answer with a warning is right; that weights know drawn scenes only is no warning here. A question that
    nothing answers is right if it is refused or warned about; that a score is low does not say so.
    """
    refused = prediction.status in UNANSWERED
    told = [warning for warning in prediction.warnings if DRAWN_ONLY not in warning]
    warned = any(DOUBTFUL not in warning for warning in told)
    if target.masks is None:
        return "right" if refused or warned else "silently wrong"
    if refused:
        return "not understood"
    if target.partial and not warned:
        return "silently wrong"
    if _same(target.masks, tuple(detection.mask for detection in prediction.detections)):
        return "right"
    return "warned" if told else "silently wrong"


def _same(wanted: tuple[Rle, ...], given: tuple[Rle, ...]) -> bool:
    """Whether every mask is one of the objects, and every object has its mask."""
    if len(wanted) != len(given):
        return False
    if not wanted:
        return True
    hits = rle_iou(given, wanted) >= MIN_IOU
    return bool((hits.sum(0) == 1).all() and (hits.sum(1) == 1).all())


class PhrasingScorer:
    """Percentages of outcomes, over all questions and by kind."""

    def __init__(self) -> None:
        self._outcomes: dict[str, tuple[str, Outcome]] = {}

    def update(self, sample: QuestionSample[PhrasingTarget], prediction: QuestionPrediction) -> None:
        """Add one answer."""
        self._outcomes[sample.key] = sample.target.kind, outcome(sample.target, prediction)

    def resample(self, draws: Draws) -> dict[str, FloatArray]:
        """The percentages of outcomes over all questions."""
        keys = list(self._outcomes)
        return {
            name: 100 * draws.mean(keys, [found in outcomes for _, found in self._outcomes.values()])
            for name, outcomes in _FIGURES.items()
        }

    def compute(self) -> Figures:
        """Percentages of outcomes, then silently wrong by kind. Wrong with a warning counts as not understood."""
        kinds = sorted({kind for kind, _ in self._outcomes.values()})
        figures = {name: self._percentage(outcomes) for name, outcomes in _FIGURES.items()}
        figures["questions"] = len(self._outcomes)
        by_kind = {f"silently wrong {kind}": self._percentage(("silently wrong",), kind) for kind in kinds}
        return figures | by_kind

    def _percentage(self, outcomes: tuple[Outcome, ...], kind: str | None = None) -> float:
        own = [found for own_kind, found in self._outcomes.values() if kind in (None, own_kind)]
        return 100 * sum(found in outcomes for found in own) / max(1, len(own))


_FIGURES: dict[str, tuple[Outcome, ...]] = {
    "silently wrong": ("silently wrong",),
    "not understood": ("not understood", "warned"),
    "right": ("right",),
    "wrong with a warning": ("warned",),
}
