"""The only mover of states: `advance(state, event, limits) -> state`. Pure; no model, no clock, no picture."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sam3agent.agent.states import (
    Answered,
    Asking,
    Complaint,
    Event,
    Examined,
    Exhausted,
    Generate,
    LookAgain,
    Measured,
    NoMatch,
    NothingThere,
    OutOfBudget,
    Refine,
    Searched,
    Selected,
    State,
    Story,
    Verify,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """complaints: bad replies in a row before giving up. rounds: searches, looks and measurements in one question."""

    complaints: int = 3
    rounds: int = 12


def advance(state: Asking, event: Event, limits: Limits = Limits()) -> State:
    """The state after an event. An event that does not fit the state is a complaint, so no sequence can go astray."""
    story = state.story
    match event:
        case OutOfBudget():
            return Exhausted(story, best_ids(story), event.reason)
        case Complaint():
            return _complain(state, event.text, limits)
        case NothingThere() if not isinstance(state, Verify):
            return NoMatch(story, event.reason)
        case Searched() if not isinstance(state, Verify):
            return _searched(story, event, limits)
        case Examined() if isinstance(state, Verify):
            return Refine(_judged(story, event))
        case Selected() | LookAgain() if isinstance(state, Refine):
            if missing := story.pool.missing(event.ids):
                return _complain(state, no_such_mask(missing, story.pool.ids), limits)
            if isinstance(event, Selected):
                return Answered(story, event.ids, event.reason)
            return _bounded(Verify(_moved_on(story), event.ids), limits)
        case Measured() if isinstance(state, Refine):
            return _bounded(Refine(_moved_on(story, facts=event.facts)), limits)
    return _complain(state, "there are no masks yet; search with segment_phrase, or report_no_match", limits)


def best_ids(story: Story) -> tuple[int, ...]:
    """The best answer so far: what was accepted, else what the latest search found and nobody rejected."""
    accepted = tuple(c.id for c in story.pool.candidates if c.verdict == "accept")
    if accepted:
        return accepted
    latest = {mask_id for search in story.latest_searches for mask_id in search.found}
    return tuple(mask_id for mask_id in story.pool.ids if mask_id in latest)


def no_such_mask(missing: Iterable[int], alive: Iterable[int]) -> str:
    """The sentence for ids that do not exist."""
    those = ", ".join(str(mask_id) for mask_id in missing)
    return f"there is no mask {those}; the masks are {', '.join(str(mask_id) for mask_id in alive) or 'none yet'}"


def _moved_on(story: Story, facts: str = "") -> Story:
    """One more round done, complaints forgotten."""
    return replace(story, rounds=story.rounds + 1, facts=facts, complaint="", complaints=0)


def _searched(story: Story, event: Searched, limits: Limits) -> State:
    story = replace(
        _moved_on(story), pool=event.pool, searches=story.searches + event.searches, latest=len(event.searches)
    )
    found = dict.fromkeys(mask_id for search in event.searches for mask_id in search.found)
    pending = tuple(c.id for mask_id in found if (c := event.pool.get(mask_id)) and c.verdict is None)
    if pending:
        return _bounded(Verify(story, pending), limits)
    return _bounded(Refine(story) if len(event.pool) else Generate(story), limits)


def _judged(story: Story, event: Examined) -> Story:
    """Verdicts written down, rejected masks discarded."""
    pool = story.pool
    for finding in event.findings:
        pool = pool.judge(finding.id, finding.verdict, finding.reason)
    rejected = tuple(finding for finding in event.findings if finding.verdict == "reject")
    pool = pool.discard(finding.id for finding in rejected)
    return replace(story, pool=pool, rejected=story.rejected + rejected, complaint="", complaints=0)


def _complain(state: Asking, text: str, limits: Limits) -> State:
    story = replace(state.story, complaint=text, complaints=state.story.complaints + 1)
    if story.complaints > limits.complaints:
        return Exhausted(story, best_ids(story), f"{story.complaints} unusable replies in a row; the last one: {text}")
    return replace(state, story=story)


def _bounded(state: Asking, limits: Limits) -> State:
    story = state.story
    if story.rounds > limits.rounds:
        return Exhausted(story, best_ids(story), f"no answer after {limits.rounds} rounds")
    return state
