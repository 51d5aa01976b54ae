"""How states advance: `advance(state, event, limits, policy)`. A pure function without model, clock or image."""

from dataclasses import dataclass, replace
from typing import assert_never

from sam3agent.agent.policy import EVERY_CANDIDATE, Policy
from sam3agent.agent.standing import standing
from sam3agent.agent.weighing import (
    after_check,
    after_comparison,
    after_looks,
    after_no_match,
    after_search,
    after_selection,
    answered_unchecked,
)
from sam3agent.pool import MaskPool, missing_masks
from sam3agent.states import (
    ActiveState,
    Answered,
    Compare,
    Compared,
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
    OfTool,
    OutOfBudget,
    Recheck,
    Rechecked,
    Refine,
    Search,
    Searched,
    Selected,
    State,
    Story,
    Unreadable,
    Verify,
    Widen,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """complaints: unusable replies in a row before giving up. rounds: tool calls in one question."""

    complaints: int = 3
    rounds: int = 12


def advance(state: ActiveState, event: Event, limits: Limits = Limits(), policy: Policy = EVERY_CANDIDATE) -> State:
    """The state after an event. An event that does not fit the state becomes a complaint with the reason."""
    if objection := _objection(state, event):
        return _complain(state, objection, limits, policy)
    if not policy.every and (weighed := _weighed(state, event, policy)):
        return _bounded(weighed, limits, policy)
    story = state.story
    match event:
        case OutOfBudget():
            return _cut_short(state, event.reason, policy, interrupted=event.interrupted)
        case Complaint():
            return _complain(state, event.text, limits, policy)
        case NothingMatches():
            return NoMatch(story, event.reason)
        case Unreadable():
            return NotUnderstood(story, event.reason)
        case Searched():
            return _bounded(_after_search(story, event), limits, policy)
        case Examined():
            return Refine(_with_findings(story, event, discard=policy.every))
        case Compared() | Rechecked():
            return Refine(story)
        case Selected():
            return Answered(story, event.ids, event.reason) if event.ids else NoMatch(story, event.reason)
        case _:
            return _bounded(_informed(state, event), limits, policy)


def _informed(state: ActiveState, event: LookAgain | Observed | Followed) -> ActiveState:
    """The state after a tool call that only tells or shows something."""
    story = _next_round(state.story, event)
    match event:
        case LookAgain():
            return Verify(replace(story, groups=()), event.ids)
        case Observed():
            pool = event.pool or story.pool
            return replace(state, story=replace(story, pool=pool, facts=event.facts, shown=event.images))
        case Followed():
            searches, followed = _still_found(story, event.pool), story.followed | event.frames
            story = replace(story, pool=event.pool, searches=searches, facts=event.facts, followed=followed)
            return replace(state, story=story)
        case _:
            assert_never(event)


def _still_found(story: Story, pool: MaskPool) -> tuple[Search, ...]:
    """The searches with the ids that took the place of those that are gone."""
    gone = set(story.pool.ids) - set(pool.ids)
    return tuple(
        replace(search, found=tuple(c.id for c in pool.found_by(search.phrase))) if gone & set(search.found) else search
        for search in story.searches
    )


def _weighed(state: ActiveState, event: Event, policy: Policy) -> State | None:
    """The state after an event that the policy weighs; None for any other event."""
    match event:
        case Searched():
            return after_search(state, _next_round(state.story, event), event, policy)
        case Selected():
            return after_selection(_next_round(state.story, event), event, policy)
        case NothingMatches():
            return after_no_match(state, _next_round(state.story, event), event, policy)
        case Examined() if state.story.groups:
            return after_looks(state.story, event, policy)
        case Compared():
            return after_comparison(state.story, event, policy)
        case Rechecked():
            return after_check(state.story, event, policy)
        case _:
            return None


def _objection(state: ActiveState, event: Event) -> str:
    """Why an event does not fit a state; empty if it fits."""
    if early := _too_early(state, event):
        return early
    match event:
        case OutOfBudget() | Complaint() | Unreadable():
            return ""
        case Examined():
            return "" if isinstance(state, Verify) else "no masks are being examined; call a tool"
        case Compared():
            return "" if isinstance(state, Compare) else "no masks are being compared; call a tool"
        case Rechecked():
            return "" if isinstance(state, Recheck) else "no selection is being checked; call a tool"
        case _ if isinstance(state, Verify):
            return "masks are being examined; reply with the judgement of the mask shown"
        case _ if isinstance(state, Compare):
            return "two masks are being compared; reply with the better one"
        case _ if isinstance(state, Recheck):
            return "the selection is being checked; reply with its verdict"
        case _ if isinstance(state, Widen) and not isinstance(event, Searched):
            return "phrases are being searched"
        case Selected() | LookAgain():
            missing = state.story.pool.missing(event.ids)
            return missing_masks(missing, state.story.pool.ids) if missing else ""
        case Searched() | NothingMatches() | Observed() | Followed():
            return ""
        case _:
            assert_never(event)


def _too_early(state: ActiveState, event: Event) -> str:
    """Why an event cannot come before anything was searched, or found; empty if it can."""
    searched = bool(state.story.searches)
    if isinstance(event, NothingMatches) and not searched:
        return "nothing has been searched yet; search for it before you report that nothing matches"
    if isinstance(state, Generate) and isinstance(event, Selected | LookAgain | Observed | Followed):
        return f"there are no masks yet; search with segment_phrase{', or call report_no_match' if searched else ''}"
    return ""


def best_ids(story: Story, policy: Policy = EVERY_CANDIDATE) -> tuple[int, ...]:
    """The best answer so far: of a selection, else what was accepted, else what the latest search found.

    Of a search, what was rejected is left out.
    """
    if story.groups and (ids := standing(story, policy).ids):
        return ids
    accepted = tuple(c.id for c in story.pool.candidates if c.verdict == "accept")
    if accepted:
        return accepted
    latest = {mask_id for search in story.latest_searches for mask_id in search.found}
    return tuple(mask_id for mask_id in story.pool.ids if mask_id in latest)


def _next_round(story: Story, event: OfTool) -> Story:
    """One more round done by a tool call; observations and complaints are cleared."""
    searching = event.call if isinstance(event, Searched) else story.searching
    called = None if isinstance(event, Searched) else event.call
    story = replace(story, searching=searching, called=called)
    return replace(story, rounds=story.rounds + 1, facts="", shown=(), complaint="", complaints=0)


def _after_search(story: Story, event: Searched) -> State:
    story = replace(
        _next_round(story, event), pool=event.pool, searches=story.searches + event.searches, latest=len(event.searches)
    )
    found = dict.fromkeys(mask_id for search in event.searches for mask_id in search.found)
    pending = tuple(c.id for mask_id in found if (c := event.pool.get(mask_id)) and c.verdict is None)
    if pending:
        return Verify(story, pending)
    return Refine(story) if len(event.pool) else Generate(story)


def _with_findings(story: Story, event: Examined, *, discard: bool) -> Story:
    """Verdicts recorded, and rejected candidates discarded if that is the policy."""
    pool = story.pool
    for finding in event.findings:
        pool = pool.judge(finding.id, finding.verdict, finding.reason, finding.phrase)
    rejected = tuple(finding for finding in event.findings if discard and finding.verdict == "reject")
    gone = tuple(c for finding in rejected if (c := pool.get(finding.id)))
    pool = pool.discard(finding.id for finding in rejected)
    story = replace(story, rejected=story.rejected + rejected, discarded=story.discarded + gone)
    return replace(story, pool=pool, complaint="", complaints=0)


def _complain(state: ActiveState, text: str, limits: Limits, policy: Policy) -> State:
    story = replace(state.story, complaint=text, complaints=state.story.complaints + 1)
    if story.complaints > limits.complaints:
        why = f"{story.complaints} unusable replies in a row; the last one: {text}"
        return _cut_short(replace(state, story=story), why, policy)
    return replace(state, story=story)


def _bounded(state: State, limits: Limits, policy: Policy) -> State:
    if isinstance(state, ActiveState) and state.story.rounds > limits.rounds:
        return _cut_short(state, f"the limit of {limits.rounds} rounds is reached", policy)
    return state


def _cut_short(state: ActiveState, why: str, policy: Policy, *, interrupted: bool = False) -> Answered | Exhausted:
    """The end of a question that cannot go on: its answer if that is settled but for further looks, else the best so
    far."""
    if settled := answered_unchecked(state, policy, why):
        return replace(settled, interrupted=interrupted)
    return Exhausted(state.story, best_ids(state.story, policy), why, interrupted)
