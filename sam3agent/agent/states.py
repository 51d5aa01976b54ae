"""The states of one question, and the events that move it on. All frozen; `transitions.advance` is the only mover.

    Generate -> Verify -> Refine -> (Generate | Verify | Answered | NoMatch | Exhausted)

Every state carries the same `Story`: what was asked, what was tried, and the masks alive.
"""

from dataclasses import dataclass, field
from typing import Literal

from sam3agent.agent.pool import MaskPool, Verdict


@dataclass(frozen=True, slots=True)
class Search:
    """One phrase given to the segmenter, and the ids that it found."""

    phrase: str
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """What a question has come to so far.

    searches: every search in order; latest: how many of the last ones belong to the latest segment_phrase call.
    rounds: segment_phrase, examine_masks and measure_masks calls done. facts: the table of the last measure_masks.
    rejected: what was discarded, and why.
    complaint: what was wrong with the last reply, told back with the next request; complaints: bad replies in a row.
    """

    query: str
    pool: MaskPool = field(default_factory=MaskPool)
    searches: tuple[Search, ...] = ()
    latest: int = 0
    rounds: int = 0
    facts: str = ""
    rejected: tuple["Finding", ...] = ()
    complaint: str = ""
    complaints: int = 0

    @property
    def latest_searches(self) -> tuple[Search, ...]:
        """The searches of the latest segment_phrase call."""
        return self.searches[len(self.searches) - self.latest :]

    @property
    def used_phrases(self) -> tuple[str, ...]:
        """Every phrase tried, each once, in order."""
        return tuple(dict.fromkeys(search.phrase for search in self.searches))


@dataclass(frozen=True, slots=True)
class Generate:
    """Nothing to judge yet: phrases for the segmenter are wanted, or the word that there is nothing."""

    story: Story


@dataclass(frozen=True, slots=True)
class Verify:
    """Candidates are to be looked at, each by itself, all at once."""

    story: Story
    pending: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refine:
    """Every candidate has been looked at and rejected ones are gone: answer, look again, or search for more."""

    story: Story


@dataclass(frozen=True, slots=True)
class Answered:
    """The end with masks."""

    story: Story
    ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NoMatch:
    """The end where nothing in the picture fits."""

    story: Story
    reason: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The end where a budget ran out: the best answer so far, possibly empty."""

    story: Story
    ids: tuple[int, ...]
    reason: str


Asking = Generate | Verify | Refine
End = Answered | NoMatch | Exhausted
State = Asking | End
Status = Literal["answered", "no_match", "exhausted"]


@dataclass(frozen=True, slots=True)
class Searched:
    """segment_phrase ran: its searches, and the pool with what they found."""

    searches: tuple[Search, ...]
    pool: MaskPool


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking at one candidate gave."""

    id: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Examined:
    """The candidates of a Verify state were looked at. Those without a finding stay as they were."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """examine_masks was called: these are to be verified (again)."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """measure_masks was called: a table of facts to be told."""

    facts: str


@dataclass(frozen=True, slots=True)
class Selected:
    """select_masks was called with ids that exist."""

    ids: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NothingThere:
    """report_no_match was called."""

    reason: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """A reply that could not be used, in one sentence for whoever wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class OutOfBudget:
    """A budget ran out, or the backend has failed for good."""

    reason: str


Event = Searched | Examined | LookAgain | Measured | Selected | NothingThere | Complaint | OutOfBudget
