"""How likely it is that a candidate shows what is sought, from everything known about it. Pure functions.

Four things count: the score of the segmenter and how specific the phrases were that found it, glances at numbered
images, close looks, and measured colours. Looks of one model are no independent witnesses: part of its mistakes come
again at every look at the same object.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sam3agent.agent.policy import Policy
from sam3agent.constraints import MaskGroup
from sam3agent.pool import Candidate, MaskPool
from sam3agent.states import Sight, Story

REPEATED = 0.4
"""Part of the mistakes that are taken to come again."""

_UNSPECIFIC = 1.2
"""Natural logarithm of the odds by which a mask counts less if only a more general phrase than asked for found it."""
_PASSED_OVER = 1.6
"""The same if the exact phrase was searched too and did not find it: it finds four of five things that it names."""
_FOUND_BY_ANYTHING = 1.5
"""The same if only a phrase such as "object" found it, which finds everything."""
_AGREEMENT = 0.5
"""The same, for more, if several phrases found it."""
_CLEAR, _HARDLY = 0.3, 0.04
"""Fractions of pixels from which a colour is there, and below which it is not."""
_COLOUR_FOR, _NEXT_HUE, _COLOUR_AGAINST = 1.0, -2.2, -3.5
"""Log odds if a colour is clearly there; if only one is that people may call so; and if neither is."""

_ANYTHING = {"object", "thing", "item", "something", "anything"}
_PLURALS = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "geese": "goose",
    "feet": "foot", "teeth": "tooth", "knives": "knife", "leaves": "leaf", "sheep": "sheep", "glasses": "glasses",
}  # fmt: skip
_SMALL = {"a", "an", "the", "in", "of", "with", "on", "wearing", "and", "all", "every", "that", "is", "are"}
_SHADES = {
    "black": (), "white": ("grey",), "grey": ("white", "black"), "gray": ("grey", "white", "black"), "red": (),
    "orange": (), "yellow": (), "green": (), "blue": (), "purple": (), "pink": ("red",), "brown": (),
}  # fmt: skip
"""Colour words, with the measured colours that light and shade turn them into."""
_NEXT_HUES = {
    "black": ("grey", "brown", "blue"), "grey": ("blue", "brown"), "gray": ("blue", "brown"), "green": ("yellow",),
    "red": ("orange", "pink", "brown"), "orange": ("red", "yellow", "brown"), "yellow": ("orange", "green", "brown"),
    "blue": ("purple",), "purple": ("pink", "blue"), "pink": ("purple", "orange"), "brown": ("orange", "red", "yellow"),
}  # fmt: skip
"""Measured colours that people may mean by a colour word, too: they speak less against it than others."""


@dataclass(frozen=True, slots=True)
class Words:
    """Content words of a phrase, and the colours among them that describe and do not name."""

    content: frozenset[str]
    colours: tuple[str, ...]


@lru_cache(maxsize=1024)
def words_of(phrase: str) -> Words:
    """The words of a phrase, singular."""
    listed = [word for word in re.findall(r"[^\W_]+", phrase.lower()) if word not in _SMALL]
    names = listed[-1:] if not re.search(r"\b(in|wearing|with)\b", phrase.lower()) else []
    colours = tuple(word for word in dict.fromkeys(listed) if word in _SHADES and word not in names)
    return Words(frozenset(map(_singular, listed)), colours)


def _singular(word: str) -> str:
    """A noun in the singular, as far as its ending tells."""
    if word in _PLURALS:
        return _PLURALS[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def belongs(candidate: Candidate, group: MaskGroup, pool: MaskPool) -> bool:
    """Whether a candidate can be one of a group: it was named, or a phrase about the same thing found it."""
    sought = words_of(group.what)
    nouns = sought.content - {_singular(colour) for colour in sought.colours}
    return candidate.id in group.ids or any(
        nouns & words_of(phrase).content or _finds_the_same(phrase, group, pool) for phrase, _ in candidate.phrases
    )


def _finds_the_same(phrase: str, group: MaskGroup, pool: MaskPool) -> bool:
    """Whether most of what a phrase found was named for a group: other words for the same thing."""
    if words_of(phrase).content & _ANYTHING:
        return False
    found = [candidate.id in group.ids for candidate in pool.found_by(phrase)]
    return 2 * sum(found) > len(found)


def found_by_anything(candidate: Candidate) -> bool:
    """Whether only phrases such as "object" found a candidate."""
    return all(words_of(phrase).content & _ANYTHING for phrase, _ in candidate.phrases)


def belief(candidate: Candidate, group: MaskGroup, story: Story, policy: Policy) -> float:
    """The probability that a candidate shows what a group is about, 0..1."""
    odds = _found(candidate, group.what, story) + _seen(candidate, group.what, story.sights, policy)
    if policy.colours:
        odds += _coloured(candidate, words_of(group.what).colours)
    return 1 / (1 + math.exp(-max(-20.0, min(20.0, odds))))


def _found(candidate: Candidate, what: str, story: Story) -> float:
    """Log odds from the phrases that found it and their scores."""
    sought = words_of(what).content
    exact = {phrase for phrase in story.used_phrases if _as_specific(phrase, sought)}
    by_exact = [score for phrase, score in candidate.phrases if phrase in exact]
    odds = _logit(max(by_exact, default=candidate.score))
    if not by_exact:
        odds -= _UNSPECIFIC + (_PASSED_OVER if exact else 0)
        if found_by_anything(candidate):
            odds -= _FOUND_BY_ANYTHING
    return odds + _AGREEMENT * (len(candidate.phrases) > 1 and bool(by_exact))


def _as_specific(phrase: str, sought: frozenset[str]) -> bool:
    """Whether a phrase says as much as is sought. It may use other words for the same thing, but not for anything."""
    content = words_of(phrase).content
    return len(content) >= len(sought) and (bool(content & sought) or not content & _ANYTHING)


def _seen(candidate: Candidate, what: str, sights: Sequence[Sight], policy: Policy) -> float:
    """Log odds of all looks together."""
    looks = [s for s in sights if s.id == candidate.id and s.what == what and s.fits is not None]
    if not looks:
        return 0.0
    right = [(policy.close if look.close else policy.glance, bool(look.fits)) for look in looks]
    return math.log(likelihood(right) / likelihood([(chance, not fits) for chance, fits in right]))


def likelihood(looks: Sequence[tuple[float, bool]]) -> float:
    """Probability that of looks with these chances exactly those marked are right."""
    each = math.prod(chance if good else 1 - chance for chance, good in looks)
    most = min((chance for chance, good in looks if good), default=1.0)
    least = max((chance for chance, good in looks if not good), default=0.0)
    return REPEATED * max(0.0, most - least) + (1 - REPEATED) * each


def _coloured(candidate: Candidate, names: Sequence[str]) -> float:
    """Log odds from the measured colours: those of the named colour that fits least."""
    if not names or candidate.colours is None:
        return 0.0
    return min(_one_colour(candidate.colours, name) for name in names)


def _one_colour(measured: Mapping[str, float], name: str) -> float:
    """Log odds from one named colour."""
    ratio = sum(measured.get(colour, 0.0) for colour in (name, *_SHADES[name]))
    near = sum(measured.get(colour, 0.0) for colour in _NEXT_HUES.get(name, ()))
    against = _NEXT_HUE if near >= _CLEAR else _COLOUR_AGAINST
    part = (min(max(ratio, _HARDLY), _CLEAR) - _HARDLY) / (_CLEAR - _HARDLY)
    return against + part * (_COLOUR_FOR - against)


def _logit(probability: float) -> float:
    clipped = min(max(probability, 0.1), 0.97)
    return math.log(clipped / (1 - clipped))
