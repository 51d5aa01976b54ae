"""What an annotated picture is asked: some of its phrases, and some that match nothing in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sam3model.data.records import Concept, Record

_SIDES = re.compile(r"\b(left|right)(?=(?:most|wards?|hand(?:ed)?)?\b)", re.IGNORECASE)
_PLACES = re.compile(
    r"\b(?:(?:left|right|top|bottom)(?:most|hand)?|upper|lower|middle|cent(?:re|er)|corner|edge|first|last|"
    r"closest|nearest|farthest|furthest)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asking:
    """How pictures are asked.

    phrases: at most so many per picture, of which the share `negatives` should match nothing (None: as many as there
    is room for, so that every phrase is asked where they all fit). Half of these are taken from what is easily confused
    with what is there, where `hard_negatives` (phrase -> look-alikes) says so.
    max_annotations: at most so many things over all phrases of a picture.
    """

    phrases: int = 4
    negatives: float | None = 0.4
    hard_negatives: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_annotations: int = 200

    def choose(self, record: Record, vocabulary: Sequence[str], rng: np.random.Generator) -> list[Concept]:
        """Phrases for a picture in random order, positive ones first. Empty if nothing can be asked."""
        asked = self._positive(record, rng)
        return asked + self._negative(record, asked, vocabulary, rng)

    def _positive(self, record: Record, rng: np.random.Generator) -> list[Concept]:
        known = [concept for concept in record.concepts if concept.things]
        wanted = _near(self.phrases * (1 - (self.negatives or 0)), rng)
        chosen: list[Concept] = []
        left = self.max_annotations
        for number in rng.permutation(len(known))[:wanted]:
            concept = known[number]
            if len(concept.things) > left:
                if chosen:
                    continue
                some = sorted(rng.permutation(len(concept.things))[:left])
                things = tuple(concept.things[i] for i in some)
                concept = replace(concept, things=things, exhaustive=False, pixel_exhaustive=False)
            chosen.append(concept)
            left -= len(concept.things)
        return chosen

    def _negative(
        self, record: Record, asked: Sequence[Concept], vocabulary: Sequence[str], rng: np.random.Generator
    ) -> list[Concept]:
        """As many as make the share right, at least one where nothing else is asked."""
        there = {concept.phrase for concept in record.concepts}
        known = vocabulary if record.absent is None else record.absent
        absent = [phrase for phrase in known if phrase not in there]
        wanted = self._room(len(asked), rng)
        hard = self._look_alikes(asked, absent, there, vocabulary)
        found: dict[str, None] = {}
        for _ in range(wanted):
            near, other = ([phrase for phrase in pool if phrase not in found] for pool in (hard, absent))
            if pool := near if near and (not other or rng.random() < 0.5) else other:
                found[pool[rng.integers(len(pool))]] = None
        return [Concept(phrase, ()) for phrase in found]

    def _room(self, positive: int, rng: np.random.Generator) -> int:
        """How many negative phrases go with so many positive ones."""
        if self.negatives is None:
            return self.phrases - positive
        if not positive:
            return max(1, _near(self.phrases * self.negatives, rng))
        share = min(self.negatives, 1 - 1e-9)
        return min(_near(positive * share / (1 - share), rng), self.phrases - positive)

    def _look_alikes(
        self, asked: Sequence[Concept], absent: Sequence[str], there: set[str], vocabulary: Sequence[str]
    ) -> list[str]:
        """Those of what is asked that are absent; phrases that the set does not know are taken to be so."""
        if not self.hard_negatives:
            return []
        unknown = set(vocabulary) - set(absent)
        similar = dict.fromkeys(other for one in asked for other in self.hard_negatives.get(one.phrase, ()))
        return [phrase for phrase in similar if phrase not in there and phrase not in unknown]


def mirrored(phrase: str) -> str:
    """The phrase for a mirrored picture: left and right are swapped.

    >>> mirrored("the Leftmost cup to the right of the plate")
    'the Rightmost cup to the left of the plate'
    """
    return _SIDES.sub(lambda word: _like(word[0], "right" if word[0].lower() == "left" else "left"), phrase)


def says_where(phrase: str) -> bool:
    """Whether a phrase depends on where in the whole picture a thing is."""
    return _PLACES.search(phrase) is not None


def _like(word: str, other: str) -> str:
    """`other`, with capitals as `word` has them."""
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def _near(number: float, rng: np.random.Generator) -> int:
    """A whole number beside this one, which is its mean over many draws."""
    return int(number) + int(rng.random() < number - int(number))
