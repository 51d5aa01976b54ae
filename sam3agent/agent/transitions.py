"""How states advance: `advance(state, event, limits) -> state`. A pure function without model, clock or image."""

from dataclasses import dataclass, replace
from typing import assert_never

from sam3agent.pool import missing_masks
from sam3agent.states import (
    ActiveState,
    Answered,
    Complaint,
    Event,
    Examined,
    Exhausted,
    Followed,
    Generate,
    LookAgain,
    NoMatch,
    NothingMatches,
    NotUnderstood,
    Observed,
    OutOfBudget,
    Refine,
    Searched,
    Selected,
    State,
    Story,
    Unreadable,
    Verify,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """complaints: unusable replies in a row before giving up. rounds: tool calls in one question."""

    complaints: int = 3
    rounds: int = 12


def advance(state: ActiveState, event: Event, limits: Limits = Limits()) -> State:
    """The state after an event. An event that does not fit the state becomes a complaint with the reason."""
    if objection := _objection(state, event):
        return _complain(state, objection, limits)
    story = state.story
    match event:
        case OutOfBudget():
            return Exhausted(story, best_ids(story), event.reason)
        case Complaint():
            return _complain(state, event.text, limits)
        case NothingMatches():
            return NoMatch(story, event.reason)
        case Unreadable():
            return NotUnderstood(story, event.reason)
        case Searched():
            return _after_search(story, event, limits)
        case Examined():
            return Refine(_with_findings(story, event))
        case Selected():
            return Answered(story, event.ids, event.reason)
        case LookAgain():
            return _bounded(Verify(_next_round(story), event.ids), limits)
        case Observed():
            story = replace(_next_round(story), facts=event.facts, shown=event.images)
            return _bounded(replace(state, story=story), limits)
        case Followed():
            story = replace(_next_round(story), pool=event.pool, facts=event.facts)
            return _bounded(replace(state, story=story), limits)
        case _:
            assert_never(event)


def _objection(state: ActiveState, event: Event) -> str:
    """Why an event does not fit a state; empty if it fits."""
    match event:
        case OutOfBudget() | Complaint() | Unreadable():
            return ""
        case Examined():
            return "" if isinstance(state, Verify) else "no masks are being examined; call a tool"
        case _ if isinstance(state, Verify):
            return "masks are being examined; reply with the judgement of the mask shown"
        case Selected() | LookAgain() | Observed() | Followed() if isinstance(state, Generate):
            return "there are no masks yet; search with segment_phrase, or call report_no_match"
        case Selected() | LookAgain():
            missing = state.story.pool.missing(event.ids)
            return missing_masks(missing, state.story.pool.ids) if missing else ""
        case Searched() | NothingMatches() | Observed() | Followed():
            return ""
        case _:
            assert_never(event)


def best_ids(story: Story) -> tuple[int, ...]:
    """The best answer so far: what was accepted, else what the latest search found and nobody rejected."""
    accepted = tuple(c.id for c in story.pool.candidates if c.verdict == "accept")
    if accepted:
        return accepted
    latest = {mask_id for search in story.latest_searches for mask_id in search.found}
    return tuple(mask_id for mask_id in story.pool.ids if mask_id in latest)


def _next_round(story: Story) -> Story:
    """One more round done; observations and complaints are cleared."""
    return replace(story, rounds=story.rounds + 1, facts="", shown=(), complaint="", complaints=0)


def _after_search(story: Story, event: Searched, limits: Limits) -> State:
    story = replace(
        _next_round(story), pool=event.pool, searches=story.searches + event.searches, latest=len(event.searches)
    )
    found = dict.fromkeys(mask_id for search in event.searches for mask_id in search.found)
    pending = tuple(c.id for mask_id in found if (c := event.pool.get(mask_id)) and c.verdict is None)
    if pending:
        return _bounded(Verify(story, pending), limits)
    return _bounded(Refine(story) if len(event.pool) else Generate(story), limits)


def _with_findings(story: Story, event: Examined) -> Story:
    """Verdicts recorded, rejected candidates discarded."""
    pool = story.pool
    for finding in event.findings:
        pool = pool.judge(finding.id, finding.verdict, finding.reason)
    rejected = tuple(finding for finding in event.findings if finding.verdict == "reject")
    gone = tuple(c for finding in rejected if (c := pool.get(finding.id)))
    pool = pool.discard(finding.id for finding in rejected)
    story = replace(story, rejected=story.rejected + rejected, discarded=story.discarded + gone)
    return replace(story, pool=pool, complaint="", complaints=0)


def _complain(state: ActiveState, text: str, limits: Limits) -> State:
    story = replace(state.story, complaint=text, complaints=state.story.complaints + 1)
    if story.complaints > limits.complaints:
        return Exhausted(story, best_ids(story), f"{story.complaints} unusable replies in a row; the last one: {text}")
    return replace(state, story=story)


def _bounded(state: ActiveState, limits: Limits) -> State:
    story = state.story
    if story.rounds > limits.rounds:
        return Exhausted(story, best_ids(story), f"no answer after {limits.rounds} rounds")
    return state
