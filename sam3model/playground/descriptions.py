"""What a noun phrase says of a thing, and the ways to say it."""

from dataclasses import dataclass

from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS
from sam3model.playground.scene import Scene, SceneObject

PEOPLE = ("player",)
"""Kinds whose colour is worn: "player in white"."""


@dataclass(frozen=True, slots=True)
class Description:
    """A kind and, where not empty, the attributes asked for."""

    kind: str
    colour: str = ""
    pattern: str = ""
    size: str = ""

    def matches(self, thing: SceneObject) -> bool:
        """Whether the thing is of the kind and has every attribute."""
        return (
            thing.kind == self.kind
            and self.colour in ("", thing.colour)
            and self.pattern in ("", thing.pattern)
            and self.size in ("", thing.size)
        )

    def select(self, scene: Scene) -> tuple[int, ...]:
        """Ids of all things that it describes."""
        return tuple(thing.id for thing in scene.objects if self.matches(thing))


def say(description: Description, dice: Dice, *, plural: bool = False, plain: bool = False) -> str:
    """Put it in words: with `plain`, always the kind's own name and the most usual form."""
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
