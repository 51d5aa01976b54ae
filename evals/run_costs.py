"""How the questions of a run ended, and what they cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from evals.plain_text import short_line
from evals.samples import QuestionPrediction

COSTS = ("mllm_calls", "segmenter_calls", "tokens", "seconds")
UNUSABLE = "unusable repl"
"""In the reason of a question that ended because the MLLM's replies could not be used."""
MAX_REASON = 80


@dataclass(frozen=True, slots=True)
class RunCosts:
    """statuses: number of questions by status. exhausted: those without an answer, by reason.

    totals: calls, tokens and seconds of all questions. unusable: questions that ended in unusable replies.
    warned: questions whose answer has a warning.
    """

    questions: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    exhausted: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    unusable: int = 0
    warned: int = 0

    @property
    def means(self) -> dict[str, float]:
        """Calls, tokens and seconds per question."""
        return {name: total / self.questions for name, total in self.totals.items()} if self.questions else {}


class CostCounter:
    """Counts statuses and costs of questions."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._exhausted: Counter[str] = Counter()
        self._totals = dict.fromkeys(COSTS, 0.0)
        self._unusable = 0
        self._warned = 0

    def add(self, prediction: QuestionPrediction, seconds: float) -> None:
        """Add one question."""
        self._statuses[prediction.status] += 1
        if prediction.status == "exhausted":
            self._exhausted[short_reason(prediction.reason)] += 1
            self._unusable += prediction.failed or UNUSABLE in prediction.reason
        self._warned += bool(prediction.warnings)
        self._totals["mllm_calls"] += prediction.mllm_calls
        self._totals["segmenter_calls"] += prediction.segmenter_calls
        self._totals["tokens"] += prediction.tokens
        self._totals["seconds"] += seconds

    def result(self) -> RunCosts:
        """The counts so far."""
        return RunCosts(
            sum(self._statuses.values()),
            dict(self._statuses.most_common()),
            dict(self._exhausted.most_common()),
            {name: round(total, 6) for name, total in self._totals.items()},
            self._unusable,
            self._warned,
        )


def short_reason(reason: str) -> str:
    """The part of a reason that many questions share, without what a server or a model wrote.

    >>> short_reason("4 unusable replies in a row; the last one: no tool is called 'x'")
    '4 unusable replies in a row'
    """
    first = reason.partition(";")[0].partition(":")[0]
    return short_line(first.replace("|", "/"))[:MAX_REASON] or "no reason recorded"


def technical_failure(costs: RunCosts, failed: int, samples: int) -> str:
    """What to report if most questions failed technically, by an error or only unusable replies; else empty."""
    broken = costs.unusable + failed
    if broken * 2 <= samples or not costs.unusable:
        return ""
    return (
        f"{broken} of {samples} questions failed technically ({costs.unusable} ended in unusable replies, {failed} in "
        "errors), so the figures do not measure the model: check the server with `sam3agent doctor`"
    )
