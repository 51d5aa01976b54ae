"""One function for each sort of question that has an answer: a text and ids, or None if the scene offers none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam3model.playground import relations
from sam3model.playground.descriptions import PEOPLE, Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.scene import Scene, SceneObject

Asked = tuple[str, tuple[int, ...]] | None
Group = tuple[Description, list[SceneObject]]

NUMBERS = {2: "two", 3: "three"}
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
MOST = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost"}
BESIDE = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}


@dataclass
class Asker:
    """A scene, every description that names something in it (with what it names), and choices for one question."""

    scene: Scene
    groups: list[Group]
    dice: Dice

    def group(self, least: int) -> Group | None:
        """Some description without a size word that names at least so many things."""
        options = [(d, things) for d, things in self.groups if len(things) >= least and not d.size]
        return self.dice.pick(options) if options else None

    def pair(self, least: int) -> tuple[Group, Description, SceneObject] | None:
        """A group, and another description that names exactly one thing, which is of another kind or colour."""
        anchors = [(d, things[0]) for d, things in self.groups if len(things) == 1 and not d.size]
        if not anchors:
            return None
        description, anchor = self.dice.pick(anchors)
        options = [
            (d, things) for d, things in self.groups if len(things) >= least and not d.size and anchor not in things
        ]
        return (self.dice.pick(options), description, anchor) if options else None

    def np(self, description: Description, *, plural: bool = False) -> str:
        """The description in words, mostly the usual ones."""
        return say(description, self.dice, plural=plural, plain=self.dice.chance(0.75))

    def side(self, options: Sequence[str] = tuple(MOST)) -> str:
        """A side of the picture."""
        return self.dice.pick(options)

    def the(self, text: str) -> str:
        """With or without the article."""
        return f"the {text}" if self.dice.chance(0.7) else text


def plain(asker: Asker) -> Asked:
    """Everything that a noun phrase names."""
    description, things = asker.dice.pick(asker.groups)
    ids = tuple(thing.id for thing in things)
    if len(ids) == 1:
        return asker.the(asker.np(description)), ids
    if asker.dice.chance(0.6):
        return f"all {asker.np(description, plural=True)}", ids
    return f"every {asker.np(description)}", ids


def extreme(asker: Asker) -> Asked:
    """The one nearest to a side of the picture."""
    group = asker.group(2)
    side = asker.side()
    ids = group and relations.first(asker.scene, group[1], side, 1)
    if not group or not ids:
        return None
    return extreme_text(asker, asker.np(group[0]), side), ids


def extreme_text(asker: Asker, phrase: str, side: str) -> str:
    """A way to ask for the one nearest to a side."""
    if side in ("left", "right") and asker.dice.chance(0.2):
        return f"the {phrase} furthest to the {side}"
    return asker.the(f"{MOST[side]} {phrase}")


def extreme_group(asker: Asker) -> Asked:
    """The two or three nearest to the left or right side."""
    count, side = asker.dice.pick((2, 2, 3)), asker.side(("left", "right"))
    group = asker.group(count + 1)
    ids = group and relations.first(asker.scene, group[1], side, count)
    return (f"the {NUMBERS[count]} {MOST[side]} {asker.np(group[0], plural=True)}", ids) if group and ids else None


def size(asker: Asker) -> Asked:
    """The largest or smallest one."""
    word = asker.dice.pick(("largest", "biggest", "smallest"))
    group = asker.group(2)
    ids = group and relations.largest(group[1], 1, smallest=word == "smallest")
    return (asker.the(f"{word} {asker.np(group[0])}"), ids) if group and ids else None


def size_group(asker: Asker) -> Asked:
    """The two or three largest or smallest ones."""
    count, word = asker.dice.pick((2, 2, 3)), asker.dice.pick(("largest", "smallest"))
    group = asker.group(count + 1)
    ids = group and relations.largest(group[1], count, smallest=word == "smallest")
    return (f"the {NUMBERS[count]} {word} {asker.np(group[0], plural=True)}", ids) if group and ids else None


def ordinal(asker: Asker) -> Asked:
    """The second, third … from the left or right."""
    group = asker.group(3)
    if not group:
        return None
    number, side = asker.dice.integer(2, min(5, len(group[1]))), asker.side(("left", "right"))
    ids = relations.nth(asker.scene, group[1], side, number)
    return (asker.the(f"{ORDINALS[number]} {asker.np(group[0])} from the {side}"), ids) if ids else None


def half(asker: Asker) -> Asked:
    """All in one half of the picture."""
    group, side = asker.group(2), asker.side()
    ids = group and relations.half(asker.scene, group[1], side)
    return (half_text(asker, asker.np(group[0], plural=True), side), ids) if group and ids else None


def half_text(asker: Asker, phrase: str, side: str) -> str:
    """A way to ask for all in one half."""
    if side in ("left", "right") and asker.dice.chance(0.5):
        return f"all {phrase} on the {side} side"
    return f"{asker.dice.pick(('all', 'the'))} {phrase} in the {side} half of the picture"


def except_colour(asker: Asker) -> Asked:
    """All of a kind but those of one colour."""
    kinds = [
        (d, things) for d, things in asker.groups if d == Description(d.kind) and len({t.colour for t in things}) > 1
    ]
    if not kinds:
        return None
    description, things = asker.dice.pick(kinds)
    colour = asker.dice.pick(sorted({thing.colour for thing in things}))
    out = [thing for thing in things if thing.colour == colour]
    ids = tuple(thing.id for thing in things if thing.colour != colour)
    one, many = asker.np(description), asker.np(description, plural=True)
    if asker.dice.chance(0.3):
        joint = "not in" if description.kind in PEOPLE else "not"
        return f"all {many} that are {joint} {colour}", ids
    ones = "one" if len(out) == 1 else "ones"
    rest = (
        f"the {ones} in {colour}" if description.kind in PEOPLE and asker.dice.chance(0.7) else f"the {colour} {ones}"
    )
    return (f"every {one} except {rest}" if len(out) == 1 else f"all {many} except {rest}"), ids


def except_extreme(asker: Asker) -> Asked:
    """All but the one nearest to the left or right side."""
    group, side = asker.group(3), asker.side(("left", "right"))
    out = group and relations.first(asker.scene, group[1], side, 1)
    if not group or not out:
        return None
    ids = tuple(thing.id for thing in group[1] if thing.id not in out)
    if asker.dice.chance(0.5):
        return f"all {asker.np(group[0], plural=True)} except the {MOST[side]} one", ids
    return f"every {asker.np(group[0])} but the {MOST[side]} one", ids


def behind(asker: Asker) -> Asked:
    """The one behind, or in front of, an anchor: occlusion decides."""
    return _stacked(asker, front=False)


def front(asker: Asker) -> Asked:
    """The one in front of an anchor."""
    return _stacked(asker, front=True)


def _stacked(asker: Asker, *, front: bool) -> Asked:
    groups = [(d, things) for d, things in asker.groups if not d.size]
    options = []
    for name, anchors in groups:
        for description, things in groups:
            if len(anchors) == 1 and anchors[0] not in things:
                ids = relations.behind(things, anchors[0], front=front)
                options += [(description, name, ids)] if ids and len(ids) == 1 else []
    if not options:
        return None
    description, name, ids = asker.dice.pick(options)
    return f"the {asker.np(description)} {'in front of' if front else 'behind'} the {asker.np(name)}", ids


def nearest(asker: Asker) -> Asked:
    """The one closest to an anchor."""
    pair = asker.pair(2)
    ids = pair and relations.nearest(pair[0][1], pair[2])
    word = asker.dice.pick(("closest to", "nearest to"))
    return (f"the {asker.np(pair[0][0])} {word} the {asker.np(pair[1])}", ids) if pair and ids else None


def farthest(asker: Asker) -> Asked:
    """The one farthest from an anchor."""
    pair = asker.pair(2)
    ids = pair and relations.nearest(pair[0][1], pair[2], farthest=True)
    return (f"the {asker.np(pair[0][0])} farthest from the {asker.np(pair[1])}", ids) if pair and ids else None


def relation(asker: Asker) -> Asked:
    """All to one side of an anchor."""
    pair, side = asker.pair(1), asker.side()
    ids = pair and relations.beside(pair[0][1], pair[2], side)
    if not pair or not ids:
        return None
    return f"all {asker.np(pair[0][0], plural=True)} {BESIDE[side]} the {asker.np(pair[1])}", ids


def union(asker: Asker) -> Asked:
    """What either of two noun phrases names."""
    one, two = asker.group(1), asker.group(1)
    if not one or not two or one[0].kind == two[0].kind:
        return None
    parts = []
    for description, things in (one, two):
        many = len(things) > 1
        parts.append(f"{'all' if many else 'the'} {asker.np(description, plural=many)}")
    return " and ".join(parts), tuple(sorted(thing.id for thing in one[1] + two[1]))


ASKERS: dict[str, Callable[[Asker], Asked]] = {
    maker.__name__: maker
    for maker in (
        plain, extreme, extreme_group, size, size_group, ordinal, half, except_colour, except_extreme, behind, front,
        nearest, farthest, relation, union,
    )
}  # fmt: skip


def absent_phrase(asker: Asker, description: Description) -> str:
    """A question of the simple sorts about something that is not there."""
    many = asker.dice.chance(0.35)
    phrase = asker.np(description, plural=many)
    if many:
        return asker.dice.pick((f"all {phrase}", half_text(asker, phrase, asker.side())))
    return asker.dice.pick(
        (
            asker.the(phrase),
            extreme_text(asker, phrase, asker.side()),
            f"the {asker.dice.pick(('largest', 'smallest'))} {phrase}",
        )
    )
