"""Transitions of the policy that selects first and then looks where a look decides. Pure functions.

Searched -> Refine: the backend selects, and states rules.
Selected -> Widen (something has no mask) | Verify (a look may change the answer) | Compare (two may be the best one)
    | Recheck | Answered
Examined, Compared, Rechecked, Searched in Widen -> the same again, with more evidence, until the answer is settled.
"""

from collections.abc import Sequence
from dataclasses import replace

from sam3agent.agent.beliefs import belongs, found_by_anything, words_of
from sam3agent.agent.policy import Policy
from sam3agent.agent.standing import LIKELY, READING, Standing, standing
from sam3agent.constraints import COMPARING, MaskGroup, Rule, kept_by, proof
from sam3agent.pool import listed_masks
from sam3agent.states import (
    ActiveState,
    Answered,
    Compare,
    Compared,
    Examined,
    Generate,
    NoMatch,
    NothingMatches,
    Recheck,
    Rechecked,
    Refine,
    Searched,
    Selected,
    Sight,
    State,
    Story,
    Verify,
    Widen,
)

LONGEST_PHRASE = 4
"""Content words of a phrase that a segmenter can be expected to understand."""
MOST_HINTS = 2
"""Searches for what selections said to be missing."""


def after_search(state: ActiveState, story: Story, event: Searched, policy: Policy) -> State:
    """What was found goes to the backend, or, if it was only a hint, to the evidence."""
    story = replace(
        story, pool=event.pool, searches=story.searches + event.searches, latest=len(event.searches) or story.latest
    )
    story = replace(story, plan=event.plan or story.plan)
    if isinstance(state, Widen):
        if other := _of_other_things(story, event):
            return Refine(replace(story, facts=f"Masks were found for what was missing: {listed_masks(other)}."))
        return weighed(story, policy)
    return Refine(story) if len(event.pool) else Generate(story)


def after_selection(story: Story, event: Selected, policy: Policy) -> State:
    """A selection is a proposal: what it names, rules and misses is kept, and weighed."""
    groups = event.groups or (MaskGroup("", event.ids),)
    groups = tuple(_described(story, group) for group in groups)
    story = replace(story, groups=groups, why=event.reason, sights=story.sights + _glances(story, groups))
    story = replace(story, pool=event.pool or story.pool)
    if policy.facts and (other := _other_reading(story)):
        return Refine(replace(story, reread=True, facts=other))
    if phrases := _hints(story, event.missing, policy):
        return Widen(replace(story, hints=story.hints + 1), phrases)
    return weighed(story, policy)


def after_no_match(state: ActiveState, story: Story, event: NothingMatches, policy: Policy) -> State:
    """Nothing is rejected on one look: another search if nothing was found, else a closer look at what is likely."""
    if not policy.second_look or story.reopened >= max(1, policy.reopen):
        return NoMatch(story, event.reason, _absence(story, policy))
    if policy.facts and compared_in_vain(story):
        return NoMatch(story, event.reason, READING)
    if isinstance(state, Generate):
        facts = "Before you report that nothing matches, search once more, with other words or a more general noun."
        return Generate(replace(story, reopened=story.reopened + 1, facts=facts))
    what = event.what or (story.groups[0].what if story.groups else story.searches[0].phrase)
    group = MaskGroup(what, ())
    story = replace(story, groups=(group,), sights=story.sights + _glances(story, (group,)))
    next_state = weighed(story, policy, ends=True)
    if isinstance(next_state, Answered):
        return _given_back(story, policy, f"{listed_masks(next_state.ids).capitalize()} may show {what!r} after all")
    return next_state


def after_looks(story: Story, event: Examined, policy: Policy) -> State:
    """Verdicts become evidence."""
    pool = story.pool
    sights = list[Sight]()
    for finding in event.findings:
        pool = pool.judge(finding.id, finding.verdict, finding.reason, finding.phrase)
        fits = {"accept": True, "reject": False}.get(finding.verdict)
        sights.append(Sight(finding.id, finding.phrase, fits, close=True))
    story = replace(story, pool=pool, sights=story.sights + tuple(sights), complaint="", complaints=0)
    if story.groups and not any(group.ids for group in story.groups):
        return _after_second_thoughts(story, policy)
    return weighed(story, policy)


def after_comparison(story: Story, event: Compared, policy: Policy) -> State:
    """The better one of two goes first, once: what could not be told is not asked again."""
    story = replace(story, comparisons=(*story.comparisons, event.result), complaint="", complaints=0)
    return weighed(story, policy)


def after_check(story: Story, event: Rechecked, policy: Policy) -> State:
    """What does not belong is one more glance; what is missing is searched."""
    ids = standing(story, policy).ids
    sights = [
        Sight(mask_id, group.what, mask_id not in event.wrong, close=False) for group in story.groups for mask_id in ids
    ]
    story = replace(story, sights=story.sights + tuple(sights), checked=True, complaint="", complaints=0)
    if phrases := _hints(story, event.missing, policy):
        return Widen(replace(story, hints=story.hints + 1), phrases)
    return weighed(story, policy)


def weighed(story: Story, policy: Policy, *, ends: bool = False) -> State:
    """The next state with the evidence there is: more looks, a check, an answer, or the choice given back.

    ends: whether "no match" is the answer if there is none, and is not asked about.
    """
    now = standing(story, policy)
    if pending := _looks(story, now, policy):
        return Verify(replace(story, looks=story.looks + 1), pending)
    if not now.ids:
        if ends or story.reopened >= policy.reopen:
            return NoMatch(story, f"no mask shows {_sought(story)!r}{_looked(story)}", round(now.confidence, 3))
        return _given_back(story, policy, f"No mask shows {_sought(story)!r}{_looked(story)}")
    if (best := now.favourite) and best.rivals and _worth_comparing(story, policy):
        return Compare(story, best.rivals, best.what, best.by)
    if policy.check and not story.checked and now.sure < policy.sure:
        return Recheck(story, now.ids)
    return _answered(story, now)


def answered_unchecked(state: ActiveState, policy: Policy, why: str) -> Answered | None:
    """The answer of a state that only looks at a selection once more; None if the answer is still open.

    why: the looks are not made. What was reported not to be there is open until it was looked for, and so is an answer
    that the selection does not name, unless it is likely.
    """
    selected = any(group.ids for group in state.story.groups)
    if policy.every or not selected or not isinstance(state, Verify | Compare | Recheck):
        return None
    now = standing(state.story, policy)
    settled = now.ids and (set(now.ids) == set(chosen_at_first(state.story)) or now.confidence >= LIKELY)
    return _answered(state.story, now, why) if settled else None


def _answered(story: Story, now: Standing, unchecked: str = "") -> Answered:
    return Answered(story, now.ids, _reason(story, now), round(now.confidence, 3), unchecked)


def _after_second_thoughts(story: Story, policy: Policy) -> State:
    """After looks at what a "no match" passed over: it holds, or the choice is given back."""
    next_state = weighed(story, policy, ends=True)
    if isinstance(next_state, Answered | Compare | Recheck):
        ids = next_state.ids
        return _given_back(story, policy, f"A closer look says that {listed_masks(ids)} shows {_sought(story)!r}")
    return next_state


def _given_back(story: Story, policy: Policy, why: str) -> State:
    facts = (
        f"{why}. Select the masks that answer the question, search with other words, or report that nothing matches."
    )
    return Refine(replace(story, reopened=story.reopened + 1, facts=facts))


def _looks(story: Story, now: Standing, policy: Policy) -> tuple[int, ...]:
    """The masks to look at next; empty if no look is worth its call."""
    spent: dict[int, int] = {}
    for sight in story.sights:
        if sight.close:
            spent[sight.id] = spent.get(sight.id, 0) + 1
    left = policy.looks - sum(spent.values())
    most = policy.per_mask if policy.second_look else 1
    if not policy.weigh:
        wanted = [mask_id for mask_id in now.ids if not spent.get(mask_id)]
    else:
        wanted = [i for i, worth in now.worth if worth >= policy.doubt and spent.get(i, 0) < most]
    return tuple(sorted(wanted[: min(left, policy.at_once)])) if left > 0 and story.looks < policy.looks else ()


def _worth_comparing(story: Story, policy: Policy) -> bool:
    """Whether a look at two rivals is worth its call: the only one, and if it says more than the glance before it."""
    return policy.compare and not story.comparisons and policy.close > policy.glance


def _of_other_things(story: Story, event: Searched) -> tuple[int, ...]:
    """What was found for phrases about something that no group of the selection is about."""
    found = dict.fromkeys(mask_id for search in event.searches for mask_id in search.found)
    candidates = (c for mask_id in found if (c := story.pool.get(mask_id)))
    return tuple(
        c.id
        for c in candidates
        if not found_by_anything(c) and not any(belongs(c, g, story.pool) for g in story.groups)
    )


def _other_reading(story: Story) -> str:
    """What to ask if the rules are not those that were stated with the search; empty if they are, or none were."""
    rules = [rule for group in story.groups for rule in group.rules]
    if story.reread or not story.plan or len(story.groups) > 1:
        return ""
    read = [sorted(replace(rule, by="").words() for rule in stated) for stated in (story.plan, rules)]
    if read[0] == read[1]:
        return ""
    absent = "" if any(rule.name in COMPARING for rule in rules) else compared_in_vain(story)
    in_vain = (
        f' Nothing was found for "{absent}", which the question compares with: if it is not in the image, nothing '
        "matches; if it is, search for it in other words."
    )
    return (
        f"The question was first read as: {_listed(story.plan)}; and now as: {_listed(rules)}. Read it again word by "
        f"word, and select with the right rules.{in_vain if absent else ''}"
    )


def _listed(rules: Sequence[Rule]) -> str:
    return "; ".join(rule.words() for rule in rules) or "no rule"


def compared_in_vain(story: Story) -> str:
    """What the question compares with, if it was searched and nothing was found; empty otherwise.

    It is known only from the rules that were stated with the search.
    """
    if not any(rule.name in COMPARING for rule in story.plan):
        return ""
    seen = frozenset[str]().union(*(words_of(search.phrase).content for search in story.searches if search.found))
    in_vain = (search.phrase for search in story.searches if not search.found)
    return next((phrase for phrase in in_vain if not words_of(phrase).content & seen), "")


def _described(story: Story, group: MaskGroup) -> MaskGroup:
    """The group with words for what it is about: those of the phrase that found most of it, if it has none."""
    if group.what:
        return group
    phrases = [phrase for i in group.ids if (c := story.pool.get(i)) for phrase, _ in c.phrases]
    return replace(group, what=max(dict.fromkeys(phrases), key=phrases.count, default=""))


def _glances(story: Story, groups: Sequence[MaskGroup]) -> tuple[Sight, ...]:
    """What a selection says about every mask that was shown."""
    return tuple(Sight(i, g.what, i in g.ids, close=False) for g in groups for i in story.pool.ids)


def _hints(story: Story, missing: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """Phrases of what is missing, and of what is sought, that were not searched yet.

    What is sought, in words without place or order, may find what a first, longer phrase did not.
    """
    if not policy.hints or story.hints >= MOST_HINTS:
        return ()
    sought = [group.what for group in story.groups if 0 < len(words_of(group.what).content) <= LONGEST_PHRASE]
    used = {phrase.lower() for phrase in story.used_phrases}
    return tuple(phrase for phrase in dict.fromkeys([*sought, *missing]) if phrase.lower() not in used)


def _sought(story: Story) -> str:
    return " or ".join(dict.fromkeys(group.what for group in story.groups if group.what)) or story.query


def _looked(story: Story) -> str:
    """What a verdict that nothing matches rests on."""
    close = any(sight.close for sight in story.sights)
    return " after a closer look" if close else ", by what was found and seen at a glance"


def _reason(story: Story, now: Standing) -> str:
    if story.why and now.ids == chosen_at_first(story):
        return story.why
    chosen = ", ".join(group.what for group in story.groups if group.what)
    rules = [rule.name.replace("_", " ") for group in story.groups for rule in group.rules]
    shown_by = proof(story.groups, now.ids, story.pool) or ", ".join(rules)
    return f"{listed_masks(now.ids)}: {chosen}{f' ({shown_by})' if shown_by else ''}"


def chosen_at_first(story: Story) -> tuple[int, ...]:
    """The answer that the latest selection named, before anything was weighed."""
    kept = (
        kept_by(group.rules, [c for c in story.pool.candidates if c.id in group.ids], story.pool)
        for group in story.groups
    )
    return tuple(sorted({c.id for members in kept for c in members}))


def _absence(story: Story, policy: Policy) -> float | None:
    """Confidence that nothing matches, if there was something to weigh."""
    if not story.groups:
        return None
    likely = standing(story, policy)
    return round(likely.confidence * (1 if not likely.ids else 1 - LIKELY), 3)
