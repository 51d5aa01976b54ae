"""How honest answers are: right, not understood, wrong with a warning, or silently wrong."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from evals.benchmark_types import Figures
from evals.samples import QuestionPrediction, QuestionSample, Rle
from sam3agent.knowledge import DRAWN_ONLY
from sam3model.metrics.overlap import rle_iou

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
    nothing answers is right if it is refused or warned about.
    """
    refused = prediction.status in ("not_understood", "exhausted")
    warned = any(DRAWN_ONLY not in warning for warning in prediction.warnings)
    if target.masks is None:
        return "right" if refused or warned else "silently wrong"
    if refused:
        return "not understood"
    if target.partial and not warned:
        return "silently wrong"
    if _same(target.masks, tuple(detection.mask for detection in prediction.detections)):
        return "right"
    return "warned" if warned else "silently wrong"


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
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()

    def update(self, sample: QuestionSample[PhrasingTarget], prediction: QuestionPrediction) -> None:
        """Add one answer."""
        self._outcomes[sample.target.kind, outcome(sample.target, prediction)] += 1

    def compute(self) -> Figures:
        """Percentages of outcomes, then silently wrong by kind. Wrong with a warning counts as not understood."""
        total = self._outcomes.total()

        def fraction(*names: Outcome, kind: str | None = None) -> float:
            own = [(key, n) for key, n in self._outcomes.items() if kind in (None, key[0])]
            return 100 * sum(n for key, n in own if key[1] in names) / max(1, sum(n for _, n in own))

        figures = {
            "silently wrong": fraction("silently wrong"),
            "not understood": fraction("not understood", "warned"),
            "right": fraction("right"),
            "wrong with a warning": fraction("warned"),
            "questions": total,
        }
        kinds = sorted({kind for kind, _ in self._outcomes})
        return figures | {f"silently wrong {kind}": fraction("silently wrong", kind=kind) for kind in kinds}
