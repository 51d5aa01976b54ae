"""A noun phrase while it is read, and the targets that it becomes."""

import copy
from dataclasses import dataclass, field, replace

from sam3agent.rules.question_plan import Axis, Happening, NounPhrase, Ranking, Relation, Side, Target, When
from sam3agent.rules.words import COLOURS, is_plural, singular


@dataclass
class PhraseDraft:
    """What was read of a noun phrase so far.

    adjectives, noun, attributes: words before the noun, it, and words after it that belong to the phrase to search.
    bare: without a noun ("the largest"); pronoun: "one", "ones", "those". everything: "all" or "every". start, axis:
    position and order. number: how many. before: sides as adjectives. far: "on the far left". options: colours of which
    each will do. kind: a relation whose anchor comes later ("nearest player to …"). restrictive: the exceptions come
    before the order. definite: with "the"; article: with "a" or "an". of_group: "the largest of the balls".
    happenings, when: in questions about clips.
    """

    adjectives: list[str] = field(default_factory=list)
    noun: str = ""
    attributes: list[str] = field(default_factory=list)
    bare: bool = False
    pronoun: bool = False
    everything: bool = False
    definite: bool = False
    article: bool = False
    asked: bool = False
    plural: bool = False
    number: int | None = None
    start: int | None = None
    axis: Axis | None = None
    before: list[Side] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    option_word: str = "in"
    kind: str = ""
    relation: Relation | None = None
    exceptions: list["PhraseDraft"] = field(default_factory=list)
    restrictive: bool = False
    of_group: bool = False
    happenings: list[Happening] = field(default_factory=list)
    when: When | None = None

    @property
    def many(self) -> bool:
        """Whether it means several objects."""
        counted = (self.number or 1) > 1 and self.axis is None and not self.bare
        return self.everything or self.plural or is_plural(self.noun) or counted

    @property
    def only_words(self) -> bool:
        """Whether it has nothing but adjectives."""
        placed = self.axis or self.start or self.before or self.sides or self.relation
        return not (placed or self.number or self.happenings or self.when)

    def lend(self, other: "PhraseDraft") -> None:
        """Take the noun of another phrase: for "the red and the blue ball", "the largest one"."""
        own = self.adjectives
        if any(word in COLOURS for word in (*own, *self.attributes)) or self.options:
            lent = [word for word in other.adjectives if word not in COLOURS]
            attributes = _without_colours(other.attributes)
        else:
            lent, attributes = list(other.adjectives), list(other.attributes)
        self.adjectives = [*own, *(word for word in lent if word not in own)]
        self.noun, self.attributes = other.noun, [*attributes, *self.attributes]
        if not self.pronoun:
            self.plural = self.plural or (other.many and self.only_words)
        self.bare = self.pronoun = False

    def phrase(self) -> NounPhrase:
        """The noun phrase to search."""
        noun = singular(self.noun)
        words = [*self.adjectives, noun, *self.attributes]
        colours = tuple(dict.fromkeys(COLOURS[word] for word in words if word in COLOURS and word != noun))
        return NounPhrase(" ".join(words), noun, colours, self.many)

    def targets(self) -> list[Target]:
        """The targets: one, or one per colour of which each will do."""
        if not self.options:
            return [self.target()]
        found = []
        for colour in self.options:
            one = copy.copy(self)
            one.options = []
            if self.option_word:
                one.attributes = [*self.attributes, self.option_word, colour]
            else:
                one.adjectives = [colour, *self.adjectives]
            found.append(one.target())
        return found

    def target(self) -> Target:
        """The target of a phrase without options."""
        what, number = self.phrase(), self.number
        sides: list[Side] = list(self.sides)
        axis: Axis | None = self.axis
        start = self.start
        if self.before and (len(self.before) > 1 or (what.plural and not number and not start)):
            sides = [*self.before, *sides]
        elif self.before:
            axis = self.before[0]
        if start is not None and axis is None:
            axis = "left"
        ranking = _ranking(axis, number, start) if axis else None
        number = None if ranking else number
        single = not what.plural and not number and not ranking and (self.definite or self.article) and not self.asked
        exceptions = tuple(self._left_out(one, target) for one in self.exceptions for target in one.targets())
        first = bool(exceptions) and (self.restrictive or ranking is not None)
        told = tuple(self.happenings)
        return Target(what, tuple(sides), self.relation, ranking, exceptions, number, single, first, told, self.when)

    def _left_out(self, draft: "PhraseDraft", target: Target) -> Target:
        """An exception: every object that it names, and for one in an order, on the sides of the base."""
        if target.ranking:
            chooses = self.relation is not None and self.relation.kind in ("nearest", "farthest")
            relation = target.relation or (None if chooses else self.relation)
            return replace(target, sides=target.sides or tuple(self.sides), relation=relation)
        return replace(target, what=replace(target.what, plural=True))


def _ranking(axis: Axis, number: int | None, start: int | None) -> Ranking:
    if start == -1 and number and number > 1:
        opposite: dict[Axis, Axis] = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
        return Ranking(opposite.get(axis, axis), number)
    return Ranking(axis, number or 1, start or 1)


def _without_colours(words: list[str]) -> list[str]:
    kept = [word for word in words if word not in COLOURS]
    while kept and kept[-1] in ("in", "wearing", "and"):
        kept.pop()
    return kept
