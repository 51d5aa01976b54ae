"""Where a question stands: the answer that follows from the beliefs, and which looks could still change it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sam3agent.agent.beliefs import belief, belongs, words_of
from sam3agent.agent.policy import Policy
from sam3agent.agent.rivals import Favourite, favourite_of, settled
from sam3agent.constraints import kept_by
from sam3agent.masks import Masklet
from sam3agent.pool import Candidate
from sam3agent.states import Story

LIKELY = 0.5
"""A candidate is taken for what is sought from this probability on."""
_INSIDE = 0.85
"""Fraction of a mask inside another from which it is a part of it."""
READING = 0.92
"""How often a question is taken to be read rightly."""


PartsInside = Mapping[int, Sequence[int]]
"""By the id of each mask, the ids of those that lie inside it: found once for all answers that are compared."""


@dataclass(frozen=True, slots=True)
class Standing:
    """ids: the answer as it is now. worth: (id, how likely a look would change the answer, by its part), best first.

    sure: that each mask is rightly taken for what is sought or not, and the question rightly read, 0..1. favourite:
    what is taken for the best one, if only eyes can tell.
    """

    ids: tuple[int, ...]
    worth: tuple[tuple[int, float], ...]
    sure: float
    favourite: Favourite | None = None

    @property
    def confidence(self) -> float:
        """That the answer is right, 0..1."""
        return self.sure * (self.favourite.chance if self.favourite else 1.0)


def standing(story: Story, policy: Policy) -> Standing:
    """Where a story with groups stands."""
    stated = story.groups
    story = replace(story, groups=tuple(settled(group, story.comparisons) for group in stated))
    by_eye, parts = chosen_by_eye(story), parts_inside(story.pool.candidates)
    beliefs = [
        {
            c.id: belief(c, group, story, policy)
            for c in story.pool.candidates
            if (c.id in group.ids if by_eye and group.ids and not group.rules else belongs(c, group, story.pool))
        }
        for group in story.groups
    ]
    members = [{i for i, p in known.items() if p >= LIKELY} for known in beliefs]
    if not any(members):
        members = [_best_guess(known) for known in beliefs]
    now = _answer(story, members, parts)
    worth = dict[int, float]()
    for number, known in enumerate(beliefs):
        for mask_id, probability in known.items():
            other = [m ^ {mask_id} if n == number else m for n, m in enumerate(members)]
            doubt = min(probability, 1 - probability)
            change = _difference(story, now, _answer(story, other, parts))
            worth[mask_id] = max(worth.get(mask_id, 0.0), doubt * change)
    best = (favourite_of(g, _taken(story, m, parts), story, policy) for g, m in zip(stated, members, strict=True))
    sure = READING * math.prod(1 - value for value in worth.values())
    return Standing(now, tuple(sorted(worth.items(), key=lambda pair: -pair[1])), sure, next(filter(None, best), None))


def chosen_by_eye(story: Story) -> bool:
    """Whether a selection without rules cannot be all that fits its words, because the question says more than they do.

    Masks that were not chosen are then not added: the words do not tell why they were left out.
    """
    said = frozenset[str]().union(*(words_of(group.what).content for group in story.groups))
    return bool(words_of(story.query).content - said)


def _best_guess(known: Mapping[int, float]) -> set[int]:
    """Without a likely candidate, the best one if that is likelier right than that none of them is."""
    best = max(known, key=known.__getitem__, default=None)
    none = math.prod(1 - probability for probability in known.values())
    return {best} if best is not None and known[best] > none else set()


def _answer(story: Story, members: Sequence[Collection[int]], parts: PartsInside) -> tuple[int, ...]:
    """The masks that the rules of all groups keep of their members."""
    ids = set[int]()
    for group, chosen in zip(story.groups, members, strict=True):
        ids |= {c.id for c in kept_by(group.rules, _taken(story, chosen, parts), story.pool)}
    return tuple(sorted(ids))


def _taken(story: Story, chosen: Collection[int], parts: PartsInside) -> list[Candidate]:
    """The chosen candidates, each object once."""
    return without_nested([c for c in story.pool.candidates if c.id in chosen], parts)


def parts_inside(candidates: Sequence[Candidate]) -> PartsInside:
    """By the id of each mask, the ids of those that lie inside it."""
    return {
        outer.id: [c.id for c in candidates if c.id != outer.id and _lies_in(c.masklet, outer.masklet)]
        for outer in candidates
    }


def without_nested(candidates: Sequence[Candidate], parts: PartsInside | None = None) -> list[Candidate]:
    """Each object once: without parts of a larger mask, and without masks that are several of the others together."""
    parts = parts_inside(candidates) if parts is None else parts
    here = {c.id for c in candidates}
    inside = {mask_id: [i for i in parts[mask_id] if i in here] for mask_id in here}
    groups = {mask_id for mask_id, found in inside.items() if len(found) > 1 and _apart(candidates, found)}
    nested = {part for mask_id, found in inside.items() if mask_id not in groups for part in found}
    return [c for c in candidates if c.id not in nested | groups]


def _lies_in(inner: Masklet, outer: Masklet) -> bool:
    """Whether a smaller mask is, but for its edge, inside a larger one; in a clip, over all frames."""
    return inner.area < outer.area and inner.intersection(outer) >= _INSIDE * inner.area


def _apart(candidates: Sequence[Candidate], ids: Collection[int]) -> bool:
    """Whether masks hardly overlap each other."""
    masks = [c.masklet for c in candidates if c.id in ids]
    pairs = ((a, b) for i, a in enumerate(masks) for b in masks[i + 1 :])
    return all(a.intersection(b) < (1 - _INSIDE) * min(a.area, b.area) for a, b in pairs)


def _difference(story: Story, one: Collection[int], other: Collection[int]) -> float:
    """How much two answers differ: 1 minus the IoU of their pixels, 0..1."""
    areas = {c.id: c.masklet.area for c in story.pool.candidates}
    either = sum(areas[i] for i in {*one, *other})
    return 1 - sum(areas[i] for i in {*one} & {*other}) / either if either else 0.0
