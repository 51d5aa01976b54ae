"""The best one of several, where only eyes can tell: which may be it, and what a look at two says. Pure functions.

A model names the masks that may be the best, the likeliest first: a glance. A comparison of the two between which the
answer ends is a closer look, and puts the winner first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sam3agent.agent.beliefs import likelihood
from sam3agent.agent.policy import Policy
from sam3agent.constraints import MaskGroup, Rule, best_first, kept_by
from sam3agent.pool import Candidate
from sam3agent.states import Comparison, Story


@dataclass(frozen=True, slots=True)
class Favourite:
    """What is taken for the best of `what`, and in what (`by`) it is the best.

    rivals: the last one in the answer, and the next best, if both may be the best; None if that is clear. chance: that
    the right one is taken, 0..1.
    """

    what: str
    by: str
    rivals: tuple[int, int] | None
    chance: float


def settled(group: MaskGroup, comparisons: Sequence[Comparison]) -> MaskGroup:
    """The group with the masks that may be the best in the order that comparisons say."""
    return replace(group, rules=tuple(_settled(rule, comparisons) for rule in group.rules))


def favourite_of(group: MaskGroup, likely: Sequence[Candidate], story: Story, policy: Policy) -> Favourite | None:
    """What is taken for the best of a group; None if the best is not asked for.

    likely: the candidates that are taken for what the group is about.
    """
    for number, rule in enumerate(group.rules):
        if rule.name == "best":
            left = kept_by(group.rules[:number], likely, story.pool)
            order = [c.id for c in best_first(_settled(rule, story.comparisons), left) if c.id in rule.of]
            close = rule.position == 1 and len(order) > rule.count
            pair = (order[rule.count - 1], order[rule.count]) if close else None
            chance = policy.glance  # that the best one is among those that were named
            if pair:
                chance *= _chance(pair, rule, story.comparisons, policy)
            return Favourite(group.what, rule.by, pair, chance)
    return None


def _settled(rule: Rule, comparisons: Sequence[Comparison]) -> Rule:
    order = list(rule.of)
    for found in comparisons:
        if rule.name == "best" and found.order and {*found.order} <= {*order}:
            first, second = sorted(map(order.index, found.order))
            order[first], order[second] = found.order
    return replace(rule, of=tuple(order))


def _chance(pair: tuple[int, int], rule: Rule, comparisons: Sequence[Comparison], policy: Policy) -> float:
    """The chance that the first of two is better: it was named first or second, and it won or lost when compared."""
    looks = [(policy.glance, rule.of.index(pair[0]) < rule.of.index(pair[1]))]
    looks += [(policy.close, c.order == pair) for c in comparisons if c.order and {*c.order} == {*pair}]
    right, wrong = likelihood(looks), likelihood([(chance, not good) for chance, good in looks])
    return right / (right + wrong)
