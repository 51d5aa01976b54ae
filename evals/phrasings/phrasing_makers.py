"""How the words and the answer of each kind of question follow from a scene."""

from collections.abc import Callable

from evals.phrasings.scene_facts import Ids, SceneFacts, ids
from sam3model.playground import relations
from sam3model.playground.descriptions import PEOPLE, Description
from sam3model.playground.kinds import KINDS

Slots = dict[str, str]
Made = tuple[Slots, Ids] | None

NUMBERS = {2: "two", 3: "three", 4: "four"}
NTH = {1: "first", 2: "second", 3: "third", 4: "fourth"}
NTH_DIGITS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}
MOST = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost"}
BESIDE = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}


def all_(facts: SceneFacts) -> Made:
    """All objects of a group."""
    group = facts.group(2)
    return (facts.words(group[0]), ids(group[1])) if group else None


def only(facts: SceneFacts) -> Made:
    """The one object of a group."""
    group = facts.group(1, 1)
    return (facts.words(group[0]), ids(group[1])) if group else None


def extreme(sides: tuple[str, ...]) -> Callable[[SceneFacts], Made]:
    """The object of a group nearest to a side of the image."""

    def make(facts: SceneFacts) -> Made:
        group, side = facts.group(2), facts.dice.pick(sides)
        found = group and relations.first(facts.scene, group[1], side, 1)
        return (facts.words(group[0]) | {"side": side, "most": MOST[side]}, found) if group and found else None

    return make


def row(facts: SceneFacts) -> Made:
    """The two or three objects nearest to a side."""
    number, side = facts.dice.pick((2, 2, 3)), facts.dice.pick(("left", "right"))
    group = facts.group(number + 1)
    found = group and relations.first(facts.scene, group[1], side, number)
    slots = {"side": side, "most": MOST[side], "num": NUMBERS[number], "digit": str(number)}
    slots["far"] = "right" if side == "left" else "left"
    return (facts.words(group[0]) | slots, found) if group and found else None


def nth(facts: SceneFacts) -> Made:
    """The first to fourth object from the left or right."""
    group, side = facts.group(3), facts.dice.pick(("left", "right"))
    if not group:
        return None
    number = facts.dice.integer(1, min(4, len(group[1])))
    found = relations.nth(facts.scene, group[1], side, number)
    slots = {"side": side, "nth": NTH[number], "nth_digit": NTH_DIGITS[number], "digit": str(number)}
    slots["far"] = "right" if side == "left" else "left"
    return (facts.words(group[0]) | slots, found) if found else None


def vertical_nth(facts: SceneFacts) -> Made:
    """The second object from the top or bottom."""
    group, side = facts.group(3), facts.dice.pick(("top", "bottom"))
    found = group and relations.nth(facts.scene, group[1], side, 2)
    return (facts.words(group[0]) | {"side": side}, found) if group and found else None


def last(facts: SceneFacts) -> Made:
    """The last object from the left."""
    group = facts.group(3)
    found = group and relations.first(facts.scene, group[1], "right", 1)
    return (facts.words(group[0]), found) if group and found else None


def middle(facts: SceneFacts) -> Made:
    """The middle one of three."""
    group = facts.group(3, 3)
    found = group and facts.middle(group[1])
    return (facts.words(group[0]), found) if group and found else None


def size(smallest: bool) -> Callable[[SceneFacts], Made]:
    """The largest or smallest object of a group."""

    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        found = group and relations.largest(group[1], 1, smallest=smallest)
        return (facts.words(group[0]), found) if group and found else None

    return make


def sizes(facts: SceneFacts) -> Made:
    """The two or three largest or smallest objects."""
    number, smallest = facts.dice.pick((2, 2, 3)), facts.dice.chance(0.5)
    group = facts.group(number + 1)
    found = group and relations.largest(group[1], number, smallest=smallest)
    slots = {"num": NUMBERS[number], "extreme": "smallest" if smallest else "biggest"}
    return (facts.words(group[0]) | slots, found) if group and found else None


def second_size(facts: SceneFacts) -> Made:
    """The second largest object."""
    group = facts.group(3)
    one, two = (group and relations.largest(group[1], count) for count in (1, 2))
    return (facts.words(group[0]), tuple(set(two) - set(one))) if group and one and two else None


def length(axis: int, shortest: bool) -> Callable[[SceneFacts], Made]:
    """The object with the longest or shortest box along an axis."""

    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        found = group and facts.by_length(group[1], axis, shortest=shortest)
        return (facts.words(group[0]), found) if group and found else None

    return make


def half(facts: SceneFacts) -> Made:
    """The objects in one half of the image."""
    group, side = facts.group(2), facts.dice.pick(("left", "right", "top", "bottom"))
    found = group and relations.half(facts.scene, group[1], side)
    return (facts.words(group[0]) | {"side": side}, found) if group and found else None


def other_half(facts: SceneFacts) -> Made:
    """The objects that are not in one half."""
    group, side = facts.group(2), facts.dice.pick(("left", "right"))
    found = group and relations.half(facts.scene, group[1], side)
    rest = tuple(i for i in ids(group[1]) if i not in found) if group and found else ()
    return (facts.words(group[0]) | {"side": side}, rest) if group and rest else None


def not_colours(number: int, people: bool) -> Callable[[SceneFacts], Made]:
    """All of a kind that have none of `number` colours of it."""

    def make(facts: SceneFacts) -> Made:
        group = facts.kind(number + 1)
        colours = sorted({o.colour for o in group[1]}) if group else []
        if not group or len(colours) <= number or (group[0].kind in PEOPLE) != people or "" in colours:
            return None
        chosen = facts.dice.some(colours, number)
        slots = {f"colour{i}": colour for i, colour in enumerate(chosen, start=1)}
        return facts.words(group[0]) | slots, ids([o for o in group[1] if o.colour not in chosen])

    return make


def two_colours(facts: SceneFacts) -> Made:
    """The objects of a kind in either of two colours."""
    made = not_colours(2, False)(facts)
    if not made:
        return None
    slots, rest = made
    kind = next(o.kind for o in facts.scene.objects if o.id == rest[0])
    wanted = [o for o in facts.scene.objects if o.kind == kind and o.id not in rest]
    return slots, ids(wanted)


def except_extreme(facts: SceneFacts) -> Made:
    """All but the leftmost or rightmost object."""
    group, side = facts.group(3), facts.dice.pick(("left", "right"))
    out = group and relations.first(facts.scene, group[1], side, 1)
    rest = tuple(i for i in ids(group[1]) if i not in out) if group and out else ()
    return (facts.words(group[0]) | {"most": MOST[side], "side": side}, rest) if group and rest else None


def except_biggest(facts: SceneFacts) -> Made:
    """All but the largest object."""
    made = size(False)(facts)
    if not made:
        return None
    kind = next(o for o in facts.scene.objects if o.id == made[1][0]).kind
    group = [o for d, many in facts.groups if d == Description(kind) for o in many]
    biggest = relations.largest(group, 1) if len(group) > 1 else None
    slots = {"one": KINDS[kind].name, "many": KINDS[kind].plural}
    return (slots, tuple(i for i in ids(group) if i not in biggest)) if biggest else None


def pattern(without: bool) -> Callable[[SceneFacts], Made]:
    """The objects with, or without, a pattern."""

    def make(facts: SceneFacts) -> Made:
        group = facts.kind(2)
        pattern = facts.dice.pick(("striped", "dotted"))
        if not group:
            return None
        has = [o for o in group[1] if o.pattern == pattern]
        if not has or len(has) == len(group[1]):
            return None
        chosen = [o for o in group[1] if o not in has] if without else has
        slots = {"pattern": pattern, "marks": {"striped": "stripes", "dotted": "dots"}[pattern]}
        return facts.words(group[0]) | slots, ids(chosen)

    return make
