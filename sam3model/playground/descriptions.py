"""Descriptions of objects by attributes, and the noun phrases that express them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS

PEOPLE = ("player",)
"""Kinds that wear their colour: "player in white"."""


class Describable(Protocol):
    """An object of a scene or a clip; see `SceneObject` for its attributes."""

    @property
    def id(self) -> int: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def colour(self) -> str: ...  # noqa: D102
    @property
    def pattern(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> str: ...  # noqa: D102


class Describables(Protocol):
    """A scene or a clip: objects and a theme."""

    @property
    def theme(self) -> str: ...  # noqa: D102
    @property
    def objects(self) -> Sequence[Describable]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Description:
    """A kind with attributes; empty attributes match anything."""

    kind: str
    colour: str = ""
    pattern: str = ""
    size: str = ""

    def matches(self, obj: Describable) -> bool:
        """Whether an object has the kind and all attributes."""
        return (
            obj.kind == self.kind
            and self.colour in ("", obj.colour)
            and self.pattern in ("", obj.pattern)
            and self.size in ("", obj.size)
        )

    def select(self, shown: Describables) -> tuple[int, ...]:
        """Ids of all matching objects."""
        return tuple(obj.id for obj in shown.objects if self.matches(obj))


def say(description: Description, dice: Dice, *, plural: bool = False, plain: bool = False) -> str:
    """A noun phrase for the description; `plain`: with the kind's own name, in the most common form."""
    kind = KINDS[description.kind]
    names = (kind.name, kind.plural)
    if kind.synonyms and not plain and dice.chance(0.2):
        names = dice.pick(kind.synonyms)
    noun = names[plural]
    words = [description.colour, description.pattern]
    if description.kind in PEOPLE and description.colour:
        form = (
            "{noun} in {colour}"
            if plain
            else dice.pick(("{noun} in {colour}", "{noun} in {colour}", "{colour} {noun}", "{noun} wearing {colour}"))
        )
        return _join(description.size, form.format(noun=noun, colour=description.colour))
    if not plain and dice.chance(0.4):
        words.reverse()
    return _join(description.size, *words, noun)


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)
