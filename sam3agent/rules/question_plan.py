"""The meaning of a question, as the grammar reads it."""

from dataclasses import dataclass
from typing import Literal

from sam3agent.rules.words import COLOURS

Side = Literal["left", "right", "top", "bottom"]
Axis = Literal["left", "right", "top", "bottom", "large", "small", "middle", "tall", "short", "wide", "narrow"]
RelationKind = Literal[
    "behind", "front", "nearest", "near", "farthest", "left", "right", "above", "below", "on", "between",
    "larger", "smaller", "taller", "shorter", "wider", "narrower",
]  # fmt: skip

SAID_OF = "is read as said of"
PLACE_OF = "the place is read as that of"
"""What notes say of words that may belong to another thing of the question."""


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A phrase to search with the segmenter.

    phrase: singular, with adjectives ("player in white"). noun: its head ("player"). colours: colour names in it.
    plural: whether the question used the plural, "all" or "every".
    """

    phrase: str
    noun: str
    colours: tuple[str, ...] = ()
    plural: bool = False

    @property
    def bare(self) -> str:
        """The phrase without its colour words. Colours can be measured on the masks instead."""
        words = [word for word in self.phrase.split() if word not in COLOURS]
        while words and words[-1] in ("in", "wearing", "and"):
            words.pop()
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Ranking:
    """`count` objects of an order, from position `start` (1 = first, -1 = last): "third from the left"."""

    axis: Axis
    count: int = 1
    start: int = 1


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation to other objects, the anchors. count: maximum number of objects in the relation."""

    kind: RelationKind
    anchors: tuple["Target", ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class When:
    """A time in a clip: its start, its end, or the frame or second `value`."""

    kind: Literal["start", "end", "frame", "second"]
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Happening:
    """What objects of a clip do, as a question says it.

    name: a key of the tables in `clip_lexicon`, or "present" or "outermost". words: as the question says it. negated:
    what they do not do. order, count: of those that do it, the first (1), second (2) or last (-1), and how many from
    there; 0 for all. side: where it enters or leaves, or is outermost. anchors: the objects that it is done to. when:
    for "present" and "outermost". compared: before or after what other objects do.
    """

    name: str
    words: str
    negated: bool = False
    order: int = 0
    count: int = 1
    side: Side | None = None
    anchors: tuple["Target", ...] = ()
    when: When | None = None
    compared: tuple[Literal["before", "after"], "Target"] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The objects of a noun phrase, filtered by happenings, sides, relation, ranking and exceptions, in this order.

    number: how many objects the question names ("two dogs"); None if it does not say. single: whether it means one
    object, as "the dog" does. exclude_first: whether exceptions come before the ranking ("leftmost of those not red").
    happenings and when, the time of its places and relations, are of questions about clips only.
    """

    what: NounPhrase
    sides: tuple[Side, ...] = ()
    relation: Relation | None = None
    ranking: Ranking | None = None
    exceptions: tuple["Target", ...] = ()
    number: int | None = None
    single: bool = False
    exclude_first: bool = False
    happenings: tuple[Happening, ...] = ()
    when: When | None = None

    def phrases(self) -> list[NounPhrase]:
        """All noun phrases of the target, its own first."""
        return [self.what, *(phrase for other in self._others() for phrase in other.phrases())]

    def times(self) -> list[When]:
        """All times that the target names."""
        own = [when for when in (self.when, *(one.when for one in self.happenings)) if when]
        return [*own, *(when for other in self._others() for when in other.times())]

    def _others(self) -> "list[Target]":
        """The targets that it refers to."""
        others = [*(self.relation.anchors if self.relation else ()), *self.exceptions]
        others += [anchor for one in self.happenings for anchor in one.anchors]
        return [*others, *(one.compared[1] for one in self.happenings if one.compared)]


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """A question as a union of targets.

    notes: choices that the grammar made where the question leaves them open. objection: why the question, or a part of
    it, was not read; there are no targets then.
    """

    targets: tuple[Target, ...]
    notes: tuple[str, ...] = ()
    objection: str = ""

    def phrases(self) -> list[NounPhrase]:
        """All noun phrases without duplicates, in order."""
        return list({p.phrase: p for target in self.targets for p in target.phrases()}.values())
