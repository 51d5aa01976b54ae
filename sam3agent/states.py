"""The states of one question, and the events that advance it. All are frozen; `agent.transitions` moves between them.

    Generate -> Refine -> (Widen | Verify | Compare | Recheck | Refine | Answered | NoMatch | NotUnderstood | Exhausted)

Every state carries the same `Story`: the question, what was tried, and the candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from sam3agent.constraints import MaskGroup, Rule
from sam3agent.images import LazyImage
from sam3agent.pool import Candidate, MaskPool, Verdict, listed_masks

Status = Literal["answered", "no_match", "not_understood", "exhausted"]


@dataclass(frozen=True, slots=True)
class Search:
    """One phrase given to the segmenter, and the ids that it found.

    where: on which frames of a clip, in words. frames: numbers of all frames that were searched.
    """

    phrase: str
    found: tuple[int, ...]
    where: str = ""
    frames: frozenset[int] = frozenset({0})

    def line(self) -> str:
        """The search and its result in words."""
        found = listed_masks(self.found) if self.found else "nothing found"
        return f'"{self.phrase}": {found}{f" ({self.where})" if self.where else ""}'


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one candidate after a close look, and the phrase that it is about."""

    id: int
    verdict: Verdict
    reason: str
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at one candidate: whether it shows `what`; None if that could not be told.

    close: whether it was shown by itself, and not among others in a numbered image.
    """

    id: int
    what: str
    fits: bool | None
    close: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A look at two candidates side by side. winner: the better one; None if that could not be told."""

    ids: tuple[int, int]
    winner: int | None = None

    @property
    def order(self) -> tuple[int, int] | None:
        """The better one, and the other; None if that could not be told."""
        if self.winner is None:
            return None
        first, second = self.ids
        return self.ids if self.winner == first else (second, first)


MAX_VERDICT_LINES = 8
"""Number of verdicts that are told one by one; of more, only how many masks have each verdict."""


def verdict_lines(findings: Sequence[Finding]) -> list[str]:
    """Verdicts for people: a line each, or one line if there are many."""
    if len(findings) <= MAX_VERDICT_LINES:
        return [f"mask {f.id}: {f.verdict}{f' ({f.reason})' if f.reason else ''}" for f in findings]
    by_verdict = {
        verdict: [f.id for f in findings if f.verdict == verdict] for verdict in ("accept", "reject", "unsure")
    }
    parts = [f"{verdict} {len(ids)} ({_first(ids)})" for verdict, ids in by_verdict.items() if ids]
    return [f"{len(findings)} masks: {', '.join(parts)}; all verdicts are in the trace"]


def _first(ids: Sequence[int], most: int = 12) -> str:
    """The first ids of a list."""
    return ", ".join(map(str, ids[:most])) + (", …" if len(ids) > most else "")


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call that was made. arguments: JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that has happened to a question so far.

    searches: every search in order; latest: how many of the last ones belong to the latest segment_phrase call.
    rounds: number of tool calls that did not end the question. facts, shown: text and images of the last observation.
    rejected: findings on discarded candidates; discarded: these candidates. complaint: why the last reply was unusable,
    sent back with the next request; complaints: number of unusable replies in a row.
    groups, why: what the latest selection chose from, and its reason. plan: rules stated with a search. sights: every
    look at a candidate; comparisons: at two side by side. looks: rounds of close looks. hints: searches for what a
    selection said to be missing. reopened: how often the choice was given back. reread: whether the question was read
    once more, because two readings of it differed. checked: whether the last check was made. searching: the call of the
    latest search. called: the call whose result is in `facts`; None if there is none. followed: frames through which
    a mask was followed.
    """

    query: str
    pool: MaskPool = field(default_factory=MaskPool)
    searches: tuple[Search, ...] = ()
    latest: int = 0
    rounds: int = 0
    facts: str = ""
    shown: tuple[LazyImage, ...] = ()
    rejected: tuple[Finding, ...] = ()
    discarded: tuple[Candidate, ...] = ()
    complaint: str = ""
    complaints: int = 0
    groups: tuple[MaskGroup, ...] = ()
    why: str = ""
    plan: tuple[Rule, ...] = ()
    sights: tuple[Sight, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    looks: int = 0
    hints: int = 0
    reopened: int = 0
    reread: bool = False
    checked: bool = False
    searching: PastCall | None = None
    called: PastCall | None = None
    followed: frozenset[int] = frozenset()

    @property
    def latest_searches(self) -> tuple[Search, ...]:
        """The searches of the latest segment_phrase call."""
        return self.searches[len(self.searches) - self.latest :]

    @property
    def used_phrases(self) -> tuple[str, ...]:
        """All phrases tried, without duplicates, in order."""
        return tuple(dict.fromkeys(search.phrase for search in self.searches))

    @property
    def single_searches(self) -> tuple[tuple[str, int], ...]:
        """Phrase and frame of every search of one frame by itself."""
        return tuple((search.phrase, min(search.frames)) for search in self.searches if len(search.frames) == 1)

    @property
    def seen_frames(self) -> frozenset[int]:
        """Numbers of all frames that were searched, or through which a mask was followed."""
        return self.followed.union(*(search.frames for search in self.searches))


@dataclass(frozen=True, slots=True)
class Generate:
    """There is no candidate: the backend must name phrases to search, or report that nothing matches."""

    story: Story


@dataclass(frozen=True, slots=True)
class Verify:
    """The pending candidates are examined, each by itself, concurrently."""

    story: Story
    pending: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refine:
    """All candidates are examined and the rejected ones discarded: answer, look again, or search for more."""

    story: Story


@dataclass(frozen=True, slots=True)
class Widen:
    """Something wanted has no mask yet: these phrases are searched without asking again."""

    story: Story
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """The two candidates that may be the best one are shown side by side. by: in what it is the best."""

    story: Story
    ids: tuple[int, int]
    what: str
    by: str


@dataclass(frozen=True, slots=True)
class Recheck:
    """The selection is shown once more against the question, before it becomes the answer."""

    story: Story
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """Ended with masks that answer the question. confidence: that the answer is right, 0..1; None if nobody can say.

    unchecked: why further looks at the answer, which would have been worth their calls, were not made; empty if all
    were. interrupted: whether it was because the backend failed.
    """

    status: ClassVar[Status] = "answered"
    story: Story
    ids: tuple[int, ...]
    reason: str
    confidence: float | None = None
    unchecked: str = ""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Ended because nothing matches the question. confidence: see `Answered`."""

    status: ClassVar[Status] = "no_match"
    ids: ClassVar[tuple[int, ...]] = ()
    story: Story
    reason: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Ended because the backend cannot read the question; nothing is claimed about the image."""

    status: ClassVar[Status] = "not_understood"
    ids: ClassVar[tuple[int, ...]] = ()
    story: Story
    reason: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Ended because a budget ran out; `ids` is the best answer so far, possibly empty.

    interrupted: whether it was the backend that failed.
    """

    status: ClassVar[Status] = "exhausted"
    story: Story
    ids: tuple[int, ...]
    reason: str
    interrupted: bool = False


ActiveState = Generate | Verify | Refine | Widen | Compare | Recheck
FinalState = Answered | NoMatch | NotUnderstood | Exhausted
State = ActiveState | FinalState


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTool:
    """Base class of the events that a tool call makes. call: that call, once the loop has filled it in."""

    call: PastCall | None = None


@dataclass(frozen=True, slots=True)
class Searched(OfTool):
    """Phrases were searched: the searches, and the pool with what they found.

    plan: the rules by which the answer is to be chosen, as the question was read; empty if there are none or none were
    stated.
    """

    searches: tuple[Search, ...]
    pool: MaskPool
    plan: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Examined:
    """Candidates of a Verify state were examined. Those without a finding are unchanged."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """The candidates of a Compare state were looked at."""

    result: Comparison


@dataclass(frozen=True, slots=True)
class Rechecked:
    """The last check: masks that do not belong to the selection, and phrases of what is missing from it."""

    wrong: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LookAgain(OfTool):
    """These candidates are to be examined (again)."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Observed(OfTool):
    """A tool returned facts, and possibly images, for the next request. pool: the candidates with what was measured."""

    facts: str
    images: tuple[LazyImage, ...] = ()
    pool: MaskPool | None = None


@dataclass(frozen=True, slots=True)
class Followed(OfTool):
    """Candidates were followed through the clip, merged or split: the pool with their masklets, and facts for the next
    request. frames: numbers of the frames through which one was followed."""

    ids: tuple[int, ...]
    pool: MaskPool
    facts: str
    frames: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Selected(OfTool):
    """These candidates were chosen as the answer.

    groups: what they were chosen from, and by which rules. missing: phrases of wanted things that have no mask. pool:
    the candidates with all that the rules measured; None if nothing was.
    """

    ids: tuple[int, ...]
    reason: str
    groups: tuple[MaskGroup, ...] = ()
    missing: tuple[str, ...] = ()
    pool: MaskPool | None = None


@dataclass(frozen=True, slots=True)
class NothingMatches(OfTool):
    """It was reported that nothing matches the question. what: what was sought, if that was said."""

    reason: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The backend cannot read the question, or not all of it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """A reply was unusable; `text` tells its author why, in one sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class OutOfBudget:
    """A budget ran out, or the backend failed for good (`interrupted`)."""

    reason: str
    interrupted: bool = False


Event = (
    Searched
    | Examined
    | Compared
    | Rechecked
    | LookAgain
    | Observed
    | Followed
    | Selected
    | NothingMatches
    | Unreadable
    | Complaint
    | OutOfBudget
)
