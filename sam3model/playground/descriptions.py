"""Descriptions of objects by attributes, and the noun phrases that express them."""

from dataclasses import dataclass

from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS
from sam3model.playground.scene import Scene, SceneObject

PEOPLE = ("player",)
"""Kinds that wear their colour: "player in white"."""


@dataclass(frozen=True, slots=True)
class Description:
    """A kind with attributes; empty attributes match anything."""

    kind: str
    colour: str = ""
    pattern: str = ""
    size: str = ""

    def matches(self, obj: SceneObject) -> bool:
        """Whether an object has the kind and all attributes."""
        return (
            obj.kind == self.kind
            and self.colour in ("", obj.colour)
            and self.pattern in ("", obj.pattern)
            and self.size in ("", obj.size)
        )

    def select(self, scene: Scene) -> tuple[int, ...]:
        """Ids of all matching objects."""
        return tuple(obj.id for obj in scene.objects if self.matches(obj))


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
