"""What one simulated question came to, and the figures of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evals.simulated.scene_questions import SceneQuestion
from sam3agent.answer import Answer

RIGHT_IOU = 0.5
"""An answer counts as right, for its confidence, if it overlaps the truth at least so much."""


@dataclass(frozen=True, slots=True)
class SimulatedResult:
    """One question. answerable: whether it has an answer. iou: of the union of all masks; 1 for a right "no match", and
    0 for a question that ended without an answer, also where nothing is the answer.

    confidence: as the answer states it; None if it states none.
    """

    key: str
    answerable: bool
    iou: float
    status: str
    found: bool
    calls: int
    depth: int
    searches: int
    tokens: int
    confidence: float | None

    @classmethod
    def of(cls, case: SceneQuestion, answer: Answer, depth: int) -> "SimulatedResult":
        """An answer compared with the truth."""
        truth, costs = case.truth_mask, answer.costs
        mask = np.any([m.mask for m in answer.masks], axis=0) if answer.masks else np.zeros_like(truth)
        either = int(np.count_nonzero(mask | truth))
        return cls(
            key=case.key,
            answerable=bool(case.truth),
            iou=np.count_nonzero(mask & truth) / either if either else float(answer.status == "no_match"),
            status=answer.status,
            found=bool(mask.any()),
            calls=costs.mllm_calls,
            depth=depth,
            searches=costs.segmenter_calls,
            tokens=costs.usage.prompt_tokens + costs.usage.completion_tokens,
            confidence=getattr(answer, "confidence", None),
        )


def figures(results: Sequence[SimulatedResult]) -> dict[str, float]:
    """The figures of a run; shares in percent."""
    answerable = [r for r in results if r.answerable]
    others = [r for r in results if not r.answerable]
    ious = np.array([r.iou for r in results])
    return {
        "gIoU": 100 * float(ious.mean()),
        "se": 100 * float(ious.std()) / len(ious) ** 0.5,
        "completed": _share([r.status in ("answered", "no_match") for r in results]),
        "no match right": _share([r.status == "no_match" for r in others]),
        "no match wrong": _share([r.status == "no_match" for r in answerable]),
        "calls": float(np.mean([r.calls for r in results])),
        "depth": float(np.mean([r.depth for r in results])),
        "calls p95": float(np.percentile([r.calls for r in results], 95)),
        "searches": float(np.mean([r.searches for r in results])),
        "tokens": float(np.mean([r.tokens for r in results])),
    }


def reliability(results: Sequence[SimulatedResult], bins: int = 5) -> tuple[list[tuple[float, float, int]], float]:
    """(mean confidence, share of right answers, number) per bin of confidence, and the expected calibration error.

    Answers without a confidence are left out.
    """
    pairs = [(r.confidence, r.iou >= RIGHT_IOU) for r in results if r.confidence is not None]
    rows = list[tuple[float, float, int]]()
    for number in range(bins):
        inside = [(c, right) for c, right in pairs if min(int(c * bins), bins - 1) == number]
        if inside:
            rows.append((float(np.mean([c for c, _ in inside])), float(np.mean([r for _, r in inside])), len(inside)))
    error = sum(n * abs(mean - share) for mean, share, n in rows) / max(1, len(pairs))
    return rows, error


def table(figure: Mapping[str, float]) -> str:
    """Names and figures, one a line."""
    return "\n".join(f"{name:<16} {value:9.1f}" for name, value in figure.items())


def _share(values: Sequence[bool]) -> float:
    """Percent of the values that are true; NaN without any."""
    return 100 * float(np.mean(values)) if values else float("nan")
