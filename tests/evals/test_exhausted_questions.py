"""A question that ended without an answer is not right where nothing is the answer."""

import numpy as np
import pytest

from evals.samples import Detection, QuestionPrediction, QuestionSample
from evals.scorers.referring import MaskTarget, PlaygroundScorer, ReasoningScorer, ReferringScorer, union
from evals.simulated.scene_questions import scene_questions
from evals.simulated.simulated_results import SimulatedResult, figures
from sam3agent.agent.budget import Budget
from sam3agent.api import Agent
from sam3agent.testing import ScriptedBackend, ScriptedSegmenter
from sam3model.metrics.overlap import as_rle

SIZE = (6, 8)
ABOVE = np.arange(48).reshape(SIZE) < 16


def sample(target: np.ndarray | None, kind: str = "") -> QuestionSample[MaskTarget]:
    masks = [] if target is None else [as_rle(target)]
    return QuestionSample("one", lambda: None, "which?", MaskTarget(union(masks, SIZE), kind))  # type: ignore[arg-type, return-value]


def ended(status: str, mask: np.ndarray | None = None) -> QuestionPrediction:
    found = () if mask is None else (Detection(1.0, (0, 0, 1, 1), as_rle(mask)),)
    return QuestionPrediction("which?", status, SIZE, found)


@pytest.mark.parametrize("scorer", [ReasoningScorer, ReferringScorer, PlaygroundScorer])
def test_what_ends_without_an_answer_is_not_right(scorer: type) -> None:
    def iou(status: str, target: np.ndarray | None, mask: np.ndarray | None = None) -> float:
        return scorer().update(sample(target, "none: x"), ended(status, mask))["IoU"]

    assert iou("no_match", None) == 1 and iou("exhausted", None) == iou("not_understood", None) == 0
    assert iou("exhausted", ABOVE, ABOVE) == pytest.approx(1, abs=1e-5), "the best so far counts"
    assert iou("exhausted", ABOVE) == iou("no_match", ABOVE) == 0


@pytest.mark.parametrize("status", ["exhausted", "not_understood"])
def test_nothing_found_is_not_counted_as_seen_to_be_absent(status: str) -> None:
    scorer = ReferringScorer()
    scorer.update(sample(None), ended(status))
    assert scorer.compute()["N_acc"] == 0


def test_a_simulated_question_without_an_answer_is_wrong() -> None:
    case = next(case for case in scene_questions(40) if not case.truth)
    agent = Agent(ScriptedSegmenter({}), ScriptedBackend([""] * 9), Budget())
    from PIL import Image

    result = SimulatedResult.of(case, agent.ask(Image.fromarray(case.scene.image), case.text), 1)
    assert (result.status, result.iou) == ("exhausted", 0.0)
    assert figures([result])["no match right"] == 0
