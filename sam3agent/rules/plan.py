"""What a question means to the grammar: a few frozen values."""

from dataclasses import dataclass
from typing import Literal

from sam3agent.rules.words import COLOURS

Side = Literal["left", "right", "top", "bottom"]
Axis = Literal["left", "right", "top", "bottom", "large", "small", "middle", "tall", "short", "wide", "narrow"]
RelationKind = Literal[
    "behind", "front", "nearest", "near", "farthest", "left", "right", "above", "below", "on", "between"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """What the segmenter is asked for.

    phrase: singular, with adjectives ("player in white"). noun: its head ("player"). colours: colour names in it.
    plural: the question used the plural, or "all" or "every".
    """

    phrase: str
    noun: str
    colours: tuple[str, ...] = ()
    plural: bool = False

    @property
    def bare(self) -> str:
        """The phrase without its colour words, which colour facts can stand in for."""
        words = [word for word in self.phrase.split() if word not in COLOURS]
        while words and words[-1] in ("in", "wearing", "and"):
            words.pop()
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Ranking:
    """`count` in an order, starting at `start` (1 = first, -1 = last): "third from the left", "two largest"."""

    axis: Axis
    count: int = 1
    start: int = 1


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation to other things."""

    kind: RelationKind
    anchors: tuple["Target", ...]
    count: int = 1


@dataclass(frozen=True, slots=True)
class Target:
    """Things of one noun phrase, narrowed: sides, then relation, then ranking, then exceptions; `number`: how many."""

    what: NounPhrase
    sides: tuple[Side, ...] = ()
    relation: Relation | None = None
    ranking: Ranking | None = None
    exceptions: tuple["Target", ...] = ()
    number: int | None = None

    def phrases(self) -> list[NounPhrase]:
        """Every noun phrase in it, itself first."""
        others = [*(self.relation.anchors if self.relation else ()), *self.exceptions]
        return [self.what, *(phrase for other in others for phrase in other.phrases())]


@dataclass(frozen=True, slots=True)
class Plan:
    """A question as a union of targets."""

    targets: tuple[Target, ...]

    def phrases(self) -> list[NounPhrase]:
        """Every different noun phrase, in order."""
        return list({p.phrase: p for target in self.targets for p in target.phrases()}.values())
