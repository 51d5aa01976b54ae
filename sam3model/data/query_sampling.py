"""Choice of the phrases that an annotated image is queried with: some of its own, and negatives that match nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sam3model.data.annotations import AnnotatedImage, AnnotatedPhrase

_SIDES = re.compile(r"\b(left|right)(?=(?:most|wards?|hand(?:ed)?)?\b)", re.IGNORECASE)
_POSITIONS = re.compile(
    r"\b(?:(?:left|right|top|bottom)(?:most|hand)?|upper|lower|middle|cent(?:re|er)|corner|edge|first|last|"
    r"closest|nearest|farthest|furthest)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class QuerySampler:
    """Samples the phrases of an image.

    phrases: maximum number per image. negatives: fraction of them that match nothing; None: fill up `phrases`, so that
    every phrase is used if all fit. Half of the negatives come from `hard_negatives` (phrase -> phrases easily confused
    with it) if possible. max_annotations: maximum number of annotations over all phrases of an image.
    foreign: nouns that are in no image; the fraction `foreign_fraction` of the negatives are drawn from them, and all
    for which an image has no absent phrase.
    """

    phrases: int = 4
    negatives: float | None = 0.4
    hard_negatives: Mapping[str, Sequence[str]] = field(default_factory=dict)
    max_annotations: int = 200
    foreign: Sequence[str] = ()
    foreign_fraction: float = 0.0

    def choose(
        self, image: AnnotatedImage, vocabulary: Sequence[str], rng: np.random.Generator
    ) -> list[AnnotatedPhrase]:
        """Phrases for an image in random order, positive ones first; empty if it offers none."""
        positive = self._positive(image, rng)
        return positive + self._negative(image, positive, vocabulary, rng)

    def _positive(self, image: AnnotatedImage, rng: np.random.Generator) -> list[AnnotatedPhrase]:
        known = [phrase for phrase in image.phrases if phrase.annotations]
        wanted = _round_randomly(self.phrases * (1 - (self.negatives or 0)), rng)
        chosen: list[AnnotatedPhrase] = []
        left = self.max_annotations
        for number in rng.permutation(len(known))[:wanted]:
            phrase = known[number]
            if len(phrase.annotations) > left:
                if chosen:
                    continue
                some = sorted(rng.permutation(len(phrase.annotations))[:left])
                annotations = tuple(phrase.annotations[i] for i in some)
                phrase = replace(phrase, annotations=annotations, exhaustive=False, pixel_exhaustive=False)
            chosen.append(phrase)
            left -= len(phrase.annotations)
        return chosen

    def _negative(
        self,
        image: AnnotatedImage,
        positive: Sequence[AnnotatedPhrase],
        vocabulary: Sequence[str],
        rng: np.random.Generator,
    ) -> list[AnnotatedPhrase]:
        """Enough for the wanted fraction, and at least one if there are no positives."""
        present = {phrase.phrase for phrase in image.phrases}
        known = vocabulary if image.absent is None else image.absent
        absent = [phrase for phrase in known if phrase not in present]
        wanted = self._count_negatives(len(positive), rng)
        hard = self._hard_negatives(positive, absent, present, vocabulary)
        most_foreign = wanted if self.negatives is not None else max(1, len(positive))
        found: dict[str, None] = {}
        foreign: dict[str, None] = {}
        for _ in range(wanted):
            near, other = ([phrase for phrase in pool if phrase not in found] for pool in (hard, absent))
            if self._is_foreign(bool(near or other), rng):
                if len(foreign) < most_foreign:
                    foreign[self.foreign[rng.integers(len(self.foreign))]] = None
            elif pool := near if near and (not other or rng.random() < 0.5) else other:
                found[pool[rng.integers(len(pool))]] = None
        return [AnnotatedPhrase(phrase, ()) for phrase in (*found, *foreign)]

    def _is_foreign(self, has_absent: bool, rng: np.random.Generator) -> bool:
        """Whether the next negative is a foreign noun. If every phrase is to be used, they come after those."""
        if not self.foreign or not self.foreign_fraction:
            return False
        return not has_absent or (self.negatives is not None and rng.random() < self.foreign_fraction)

    def _count_negatives(self, positive: int, rng: np.random.Generator) -> int:
        if self.negatives is None:
            return self.phrases - positive
        if not positive:
            return max(1, _round_randomly(self.phrases * self.negatives, rng))
        fraction = min(self.negatives, 1 - 1e-9)
        return min(_round_randomly(positive * fraction / (1 - fraction), rng), self.phrases - positive)

    def _hard_negatives(
        self, positive: Sequence[AnnotatedPhrase], absent: Sequence[str], present: set[str], vocabulary: Sequence[str]
    ) -> list[str]:
        """Absent phrases that resemble the positive ones; phrases outside the vocabulary are assumed to be absent."""
        if not self.hard_negatives:
            return []
        unknown = set(vocabulary) - set(absent)
        similar = dict.fromkeys(other for one in positive for other in self.hard_negatives.get(one.phrase, ()))
        return [phrase for phrase in similar if phrase not in present and phrase not in unknown]


def mirrored(phrase: str) -> str:
    """The phrase for a mirrored image, with left and right swapped.

    >>> mirrored("the Leftmost cup to the right of the plate")
    'the Rightmost cup to the left of the plate'
    """
    return _SIDES.sub(lambda word: _with_case_of(word[0], "right" if word[0].lower() == "left" else "left"), phrase)


def mentions_position(phrase: str) -> bool:
    """Whether a phrase depends on the position of objects in the whole image."""
    return _POSITIONS.search(phrase) is not None


def _with_case_of(word: str, other: str) -> str:
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def _round_randomly(number: float, rng: np.random.Generator) -> int:
    """Round down or up at random, such that the mean over many draws is `number`."""
    return int(number) + int(rng.random() < number - int(number))
