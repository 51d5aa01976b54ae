"""Common nouns that a data set does not have, to ask for what is absent: some in training, others in validation."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from sam3model.resources import COMMON_NOUNS, asset

_HELD_OUT = 5
"""One noun in this many is held out: it is never trained on, in any run."""


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of the list, words for the same or a similar thing, and general words for it."""

    name: str
    similar: tuple[str, ...]
    general: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignNouns:
    """Nouns that are foreign to a data set: those to train on, and those that only validation and certificate ask."""

    training: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()


@cache
def common_nouns() -> tuple[Noun, ...]:
    """The shipped list."""
    nouns, general = list[Noun](), tuple[str, ...]()
    for line in asset(COMMON_NOUNS).read_text(encoding="utf-8").splitlines():
        words = tuple(word.strip() for word in line.strip("[]").split(","))
        if line.startswith("["):
            general = words
        elif line.strip() and not line.startswith("#"):
            nouns.append(Noun(words[0], words[1:], general))
    return tuple(nouns)


def foreign_nouns(vocabulary: Iterable[str], present: Iterable[str] = ()) -> ForeignNouns:
    """The nouns of the list that name nothing in a data set with these phrases.

    A noun is left out if it, a similar or a general word for it, has all its words in a phrase, or all words of a
    phrase. present: further words for what the images show without annotation.
    """
    phrases = [words for phrase in (*vocabulary, *present) if (words := _words(phrase))]
    kept = [noun.name for noun in common_nouns() if not any(_alike(noun, phrase) for phrase in phrases)]
    held_out = tuple(name for name in kept if _is_held_out(name))
    return ForeignNouns(tuple(name for name in kept if not _is_held_out(name)), held_out)


def chosen_nouns(nouns: Iterable[str], count: int) -> tuple[str, ...]:
    """At most `count` of the nouns, from all over the list: always the same ones."""
    return tuple(sorted(sorted(nouns, key=lambda name: _digest(f"chosen/{name}"))[:count]))


def _is_held_out(name: str) -> bool:
    return _digest(name) % _HELD_OUT == 0


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _alike(noun: Noun, phrase: frozenset[str]) -> bool:
    joined = "".join(sorted(phrase))
    for name in (noun.name, *noun.similar, *noun.general):
        words = _words(name)
        if words <= phrase or "".join(sorted(words)) == joined or (phrase <= words and name not in noun.general):
            return True
    return False


@cache
def _words(phrase: str) -> frozenset[str]:
    """The words of a phrase in lower case and, as far as a simple rule can tell, in the singular."""
    return frozenset(_singular(word) for word in re.findall(r"[^\W\d_]+", phrase.lower()))


def _singular(word: str) -> str:
    for end, other in (("ies", "y"), ("ves", "f"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(end) and len(word) > len(end) + 1:
            return word[: -len(end)] + other
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word
