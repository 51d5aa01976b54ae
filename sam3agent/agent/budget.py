"""What a question may cost, and the ledger that counts it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sam3agent.mllm.base import Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """Maximum MLLM calls (one examination is one call), phrases searched, and wall time in seconds.

    Time counts from the start of the command, or of `Agent.ask`, with loading and encoding. After the last search, what
    was found can still be answered.
    """

    mllm_calls: int = 60
    segmenter_calls: int = 20
    seconds: float = 300.0


@dataclass
class Ledger:
    """What one question has cost so far; mutable.

    started: when the question began, on the clock; by default now. steps: state transitions. usable: replies of the
    backend that could be used. warnings: what its replies did not take into account. clock: monotonic seconds.
    """

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    mllm_calls: int = 0
    segmenter_calls: int = 0
    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    warnings: list[str] = field(default_factory=list)
    started: float | None = None
    usable: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock() if self.started is None else self.started

    def warn(self, warnings: Iterable[str]) -> None:
        """Keep warnings, each once."""
        self.warnings = list(dict.fromkeys([*self.warnings, *warnings]))

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - (self.started or 0.0)

    @property
    def seconds_left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.budget.seconds - self.elapsed)

    @property
    def calls_left(self) -> int:
        """MLLM calls left."""
        return max(0, self.budget.mllm_calls - self.mllm_calls)

    @property
    def searches_left(self) -> int:
        """Segmenter calls left."""
        return max(0, self.budget.segmenter_calls - self.segmenter_calls)

    def overdrawn(self) -> str:
        """The budget that is used up, so that no more requests are possible, in words; empty if there is none."""
        if self.calls_left == 0:
            return f"the budget of {self.budget.mllm_calls} MLLM calls is used up"
        return self.overtime() if self.seconds_left == 0 else ""

    def overtime(self) -> str:
        """The sentence for a time budget that is used up."""
        return f"the budget of {self.budget.seconds:g} seconds is used up"
