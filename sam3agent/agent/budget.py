"""What a question may cost, and the ledger that keeps count."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sam3agent.mllm.base import MLLMReply, Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls of the MLLM (one examination is one call), phrases searched, and wall time in seconds.

    Time counts from when the picture is encoded. With the last phrase searched, what was found may still be answered.
    """

    mllm_calls: int = 60
    segmenter_calls: int = 20
    seconds: float = 300.0


@dataclass
class Ledger:
    """Mutable counts of one question. `clock` is monotonic seconds."""

    budget: Budget
    clock: Callable[[], float] = time.monotonic
    mllm_calls: int = 0
    segmenter_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the question was asked."""
        return self.clock() - self.started

    @property
    def seconds_left(self) -> float:
        """Seconds that remain, never negative."""
        return max(0.0, self.budget.seconds - self.elapsed)

    @property
    def calls_left(self) -> int:
        """MLLM calls that remain."""
        return max(0, self.budget.mllm_calls - self.mllm_calls)

    def book(self, reply: MLLMReply) -> None:
        """Count one reply."""
        self.usage += reply.usage

    def overdrawn(self) -> str:
        """Which budget is used up so that nothing more can be asked, in words; empty while there is one."""
        if self.calls_left == 0:
            return f"the budget of {self.budget.mllm_calls} MLLM calls is used up"
        if self.seconds_left == 0:
            return f"the budget of {self.budget.seconds:g} seconds is used up"
        return ""
