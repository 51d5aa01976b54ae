"""The same for relations, unions and questions without an answer."""

from collections.abc import Callable

from evals.phrasings.phrasing_makers import NTH, NTH_DIGITS, Made
from evals.phrasings.scene_facts import Ids, SceneFacts, ids
from sam3model.playground import relations
from sam3model.playground.descriptions import say
from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS
from sam3model.playground.scene import SceneObject

Finder = Callable[[SceneFacts, list[SceneObject], SceneObject], Ids | None]
"""Which objects of a group have a relation to an anchor; None or empty if the question has no clear answer."""


def _related(minimum: int, find: Finder) -> Callable[[SceneFacts], Made]:
    """The objects of a group of at least `minimum` that a finder chooses."""

    def make(facts: SceneFacts) -> Made:
        group = facts.group(minimum)
        anchor = facts.anchor(group) if group else None
        found = find(facts, group[1], anchor[1]) if group and anchor else None
        if not group or not anchor or not found:
            return None
        return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, found

    return make


def beside(side: str) -> Callable[[SceneFacts], Made]:
    """The objects on one side of an anchor."""
    return _related(2, lambda _, group, anchor: relations.beside(group, anchor, side))


def _rest(_: SceneFacts, group: list[SceneObject], anchor: SceneObject) -> Ids:
    found = relations.beside(group, anchor, "left")
    return tuple(i for i in ids(group) if i not in found) if found else ()


not_beside = _related(2, _rest)
"""The objects that are not to the left of an anchor."""


def nearest(farthest: bool) -> Callable[[SceneFacts], Made]:
    """The object nearest to, or farthest from, an anchor."""
    return _related(2, lambda _, group, anchor: relations.nearest(group, anchor, farthest=farthest))


def stacked(front: bool) -> Callable[[SceneFacts], Made]:
    """The object behind, or in front of, an anchor."""

    def only(_: SceneFacts, group: list[SceneObject], anchor: SceneObject) -> Ids | None:
        found = relations.behind(group, anchor, front=front)
        return found if found and len(found) == 1 else None

    return _related(1, only)


def compared(smaller: bool) -> Callable[[SceneFacts], Made]:
    """The objects larger, or smaller, than an anchor."""
    return _related(2, lambda facts, group, anchor: facts.bigger_than(group, anchor, smaller=smaller))


def union(facts: SceneFacts) -> Made:
    """One object and a group of another kind."""
    one, two = facts.group(1, 1), facts.group(2)
    if not one or not two or one[0].kind == two[0].kind:
        return None
    slots = {"one": say(one[0], facts.dice, plain=True), "others": say(two[0], facts.dice, plural=True, plain=True)}
    return slots, ids([*one[1], *two[1]])


def two_ends(facts: SceneFacts) -> Made:
    """The leftmost and the rightmost object."""
    group = facts.group(3)
    left, right = (group and relations.first(facts.scene, group[1], side, 1) for side in ("left", "right"))
    return (facts.words(group[0]), (*left, *right)) if group and left and right else None


def partial_union(facts: SceneFacts) -> Made:
    """One object, and one that is missing."""
    group, absent = facts.group(1, 1), facts.absent_kind()
    return ({"one": say(group[0], facts.dice, plain=True), "absent": absent}, ids(group[1])) if group else None


def coloured_things(facts: SceneFacts) -> Made:
    """Everything of one colour, whatever it is."""
    colours = sorted({o.colour for o in facts.scene.objects} - {""})
    colour = facts.dice.pick(colours)
    return {"colour": colour}, ids([o for o in facts.scene.objects if o.colour == colour])


def extreme_thing(facts: SceneFacts) -> Made:
    """The largest of all objects, and the leftmost."""
    objects = facts.scene.objects
    found = relations.largest(objects, 1) if len(objects) > 2 else None
    return ({}, found) if found else None


def leftmost_thing(facts: SceneFacts) -> Made:
    """The leftmost of all objects."""
    objects = facts.scene.objects
    found = relations.first(facts.scene, objects, "left", 1) if len(objects) > 2 else None
    return ({}, found) if found else None


def absent_noun(facts: SceneFacts) -> Made:
    """A kind that is missing."""
    kind, group = KINDS[facts.absent_kind()], facts.group(1)
    other = say(group[0], facts.dice, plain=True) if group else "ball"
    colour = facts.dice.pick(kind.colours or ("",))
    return {"one": kind.name, "many": kind.plural, "coloured": f"{colour} {kind.name}".strip(), "other": other}, ()


def absent_colour(facts: SceneFacts) -> Made:
    """A kind in a colour that none has."""
    found = facts.absent_colour()
    return (facts.words(found), ()) if found else None


def too_far(facts: SceneFacts) -> Made:
    """A position beyond the last object."""
    group, side = facts.group(1, 3), facts.dice.pick(("left", "right"))
    if not group:
        return None
    number = len(group[1]) + 1
    slots = {"nth": NTH[number], "nth_digit": NTH_DIGITS[number], "side": side}
    return facts.words(group[0]) | slots, ()


def absent_anchor(facts: SceneFacts) -> Made:
    """A relation to a missing object."""
    group, absent = facts.group(2), facts.absent_kind()
    return (facts.words(group[0]) | {"anchor": absent}, ()) if group else None


def mistyped(facts: SceneFacts) -> Made:
    """The leftmost of a group, with one slip of the fingers in its noun."""
    group = facts.group(2, keep=lambda d: len(KINDS[d.kind].name) > 3)
    found = group and relations.first(facts.scene, group[1], "left", 1)
    if not group or not found:
        return None
    return {"one": slip(say(group[0], Dice("plain"), plain=True), KINDS[group[0].kind].name, facts.dice)}, found


def slip(phrase: str, noun: str, dice: Dice) -> str:
    """The phrase with one letter of its noun left out, doubled or swapped."""
    at = dice.integer(1, len(noun) - 2)
    wrong = dice.pick(
        (noun[:at] + noun[at + 1 :], noun[: at + 1] + noun[at:], noun[:at] + noun[at + 1] + noun[at] + noun[at + 2 :])
    )
    return phrase.replace(noun, wrong, 1)
