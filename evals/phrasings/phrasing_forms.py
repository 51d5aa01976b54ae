"""Forms of questions: for each, how its words and its answer follow from a scene, and the ways people write it."""

from collections.abc import Callable
from dataclasses import dataclass

from evals.phrasings.scene_facts import Ids, SceneFacts, ids
from sam3model.playground import relations
from sam3model.playground.descriptions import PEOPLE, Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.kinds import KINDS

Slots = dict[str, str]
Made = tuple[Slots, Ids] | None

NUMBERS = {2: "two", 3: "three", 4: "four"}
NTH = {1: "first", 2: "second", 3: "third", 4: "fourth"}
NTH_DIGITS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}
MOST = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost"}
BESIDE = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of question. make: the words for the slots and the answer, None if the scene does not allow it.

    partial: the answer lacks a part of the question, which has to be said.
    """

    kind: str
    make: Callable[[SceneFacts], Made]
    wordings: tuple[str, ...]
    partial: bool = False


def _all(facts: SceneFacts) -> Made:
    group = facts.group(2)
    return (facts.words(group[0]), ids(group[1])) if group else None


def _only(facts: SceneFacts) -> Made:
    group = facts.group(1, 1)
    return (facts.words(group[0]), ids(group[1])) if group else None


def _extreme(sides: tuple[str, ...]) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group, side = facts.group(2), facts.dice.pick(sides)
        found = group and relations.first(facts.scene, group[1], side, 1)
        return (facts.words(group[0]) | {"side": side, "most": MOST[side]}, found) if group and found else None

    return make


def _row(facts: SceneFacts) -> Made:
    number, side = facts.dice.pick((2, 2, 3)), facts.dice.pick(("left", "right"))
    group = facts.group(number + 1)
    found = group and relations.first(facts.scene, group[1], side, number)
    slots = {"side": side, "most": MOST[side], "num": NUMBERS[number], "digit": str(number)}
    slots["far"] = "right" if side == "left" else "left"
    return (facts.words(group[0]) | slots, found) if group and found else None


def _nth(facts: SceneFacts) -> Made:
    group, side = facts.group(3), facts.dice.pick(("left", "right"))
    if not group:
        return None
    number = facts.dice.integer(1, min(4, len(group[1])))
    found = relations.nth(facts.scene, group[1], side, number)
    slots = {"side": side, "nth": NTH[number], "nth_digit": NTH_DIGITS[number], "digit": str(number)}
    slots["far"] = "right" if side == "left" else "left"
    return (facts.words(group[0]) | slots, found) if found else None


def _vertical_nth(facts: SceneFacts) -> Made:
    group, side = facts.group(3), facts.dice.pick(("top", "bottom"))
    found = group and relations.nth(facts.scene, group[1], side, 2)
    return (facts.words(group[0]) | {"side": side}, found) if group and found else None


def _last(facts: SceneFacts) -> Made:
    group = facts.group(3)
    found = group and relations.first(facts.scene, group[1], "right", 1)
    return (facts.words(group[0]), found) if group and found else None


def _middle(facts: SceneFacts) -> Made:
    group = facts.group(3, 3)
    found = group and facts.middle(group[1])
    return (facts.words(group[0]), found) if group and found else None


def _size(smallest: bool) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        found = group and relations.largest(group[1], 1, smallest=smallest)
        return (facts.words(group[0]), found) if group and found else None

    return make


def _sizes(facts: SceneFacts) -> Made:
    number, smallest = facts.dice.pick((2, 2, 3)), facts.dice.chance(0.5)
    group = facts.group(number + 1)
    found = group and relations.largest(group[1], number, smallest=smallest)
    slots = {"num": NUMBERS[number], "extreme": "smallest" if smallest else "biggest"}
    return (facts.words(group[0]) | slots, found) if group and found else None


def _second_size(facts: SceneFacts) -> Made:
    group = facts.group(3)
    one, two = (group and relations.largest(group[1], count) for count in (1, 2))
    return (facts.words(group[0]), tuple(set(two) - set(one))) if group and one and two else None


def _length(axis: int, shortest: bool) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        found = group and facts.by_length(group[1], axis, shortest=shortest)
        return (facts.words(group[0]), found) if group and found else None

    return make


def _half(facts: SceneFacts) -> Made:
    group, side = facts.group(2), facts.dice.pick(("left", "right", "top", "bottom"))
    found = group and relations.half(facts.scene, group[1], side)
    return (facts.words(group[0]) | {"side": side}, found) if group and found else None


def _other_half(facts: SceneFacts) -> Made:
    group, side = facts.group(2), facts.dice.pick(("left", "right"))
    found = group and relations.half(facts.scene, group[1], side)
    rest = tuple(i for i in ids(group[1]) if i not in found) if group and found else ()
    return (facts.words(group[0]) | {"side": side}, rest) if group and rest else None


def _not_colours(number: int, people: bool) -> Callable[[SceneFacts], Made]:
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


def _two_colours(facts: SceneFacts) -> Made:
    made = _not_colours(2, False)(facts)
    if not made:
        return None
    slots, rest = made
    kind = next(o.kind for o in facts.scene.objects if o.id == rest[0])
    wanted = [o for o in facts.scene.objects if o.kind == kind and o.id not in rest]
    return slots, ids(wanted)


def _except_extreme(facts: SceneFacts) -> Made:
    group, side = facts.group(3), facts.dice.pick(("left", "right"))
    out = group and relations.first(facts.scene, group[1], side, 1)
    rest = tuple(i for i in ids(group[1]) if i not in out) if group and out else ()
    return (facts.words(group[0]) | {"most": MOST[side], "side": side}, rest) if group and rest else None


def _except_biggest(facts: SceneFacts) -> Made:
    made = _size(False)(facts)
    if not made:
        return None
    kind = next(o for o in facts.scene.objects if o.id == made[1][0]).kind
    group = [o for d, many in facts.groups if d == Description(kind) for o in many]
    biggest = relations.largest(group, 1) if len(group) > 1 else None
    slots = {"one": KINDS[kind].name, "many": KINDS[kind].plural}
    return (slots, tuple(i for i in ids(group) if i not in biggest)) if biggest else None


def _pattern(without: bool) -> Callable[[SceneFacts], Made]:
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


def _beside(side: str) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        anchor = group and facts.anchor(group)
        found = relations.beside(group[1], anchor[1], side) if group and anchor else None
        if not group or not anchor or not found:
            return None
        return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, found

    return make


def _not_beside(facts: SceneFacts) -> Made:
    group = facts.group(2)
    anchor = group and facts.anchor(group)
    found = relations.beside(group[1], anchor[1], "left") if group and anchor else None
    rest = tuple(i for i in ids(group[1]) if i not in found) if group and found else ()
    if not group or not anchor or not rest:
        return None
    return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, rest


def _nearest(farthest: bool) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        anchor = group and facts.anchor(group)
        found = relations.nearest(group[1], anchor[1], farthest=farthest) if group and anchor else None
        if not group or not anchor or not found:
            return None
        return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, found

    return make


def _stacked(front: bool) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(1)
        anchor = group and facts.anchor(group)
        found = relations.behind(group[1], anchor[1], front=front) if group and anchor else None
        if not group or not anchor or not found or len(found) > 1:
            return None
        return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, found

    return make


def _compared(smaller: bool) -> Callable[[SceneFacts], Made]:
    def make(facts: SceneFacts) -> Made:
        group = facts.group(2)
        anchor = group and facts.anchor(group)
        found = facts.bigger_than(group[1], anchor[1], smaller=smaller) if group and anchor else None
        if not group or not anchor or not found:
            return None
        return facts.words(group[0]) | {"anchor": say(anchor[0], facts.dice, plain=True)}, found

    return make


def _union(facts: SceneFacts) -> Made:
    one, two = facts.group(1, 1), facts.group(2)
    if not one or not two or one[0].kind == two[0].kind:
        return None
    slots = {"one": say(one[0], facts.dice, plain=True), "others": say(two[0], facts.dice, plural=True, plain=True)}
    return slots, ids([*one[1], *two[1]])


def _two_ends(facts: SceneFacts) -> Made:
    group = facts.group(3)
    left, right = (group and relations.first(facts.scene, group[1], side, 1) for side in ("left", "right"))
    return (facts.words(group[0]), (*left, *right)) if group and left and right else None


def _partial_union(facts: SceneFacts) -> Made:
    group, absent = facts.group(1, 1), facts.absent_kind()
    return ({"one": say(group[0], facts.dice, plain=True), "absent": absent}, ids(group[1])) if group else None


def _coloured_things(facts: SceneFacts) -> Made:
    """Everything of one colour, whatever it is."""
    colours = sorted({o.colour for o in facts.scene.objects} - {""})
    colour = facts.dice.pick(colours)
    return {"colour": colour}, ids([o for o in facts.scene.objects if o.colour == colour])


def _extreme_thing(facts: SceneFacts) -> Made:
    """The largest of all objects, and the leftmost."""
    objects = facts.scene.objects
    found = relations.largest(objects, 1) if len(objects) > 2 else None
    return ({}, found) if found else None


def _leftmost_thing(facts: SceneFacts) -> Made:
    objects = facts.scene.objects
    found = relations.first(facts.scene, objects, "left", 1) if len(objects) > 2 else None
    return ({}, found) if found else None


def _absent_noun(facts: SceneFacts) -> Made:
    kind, group = KINDS[facts.absent_kind()], facts.group(1)
    other = say(group[0], facts.dice, plain=True) if group else "ball"
    colour = facts.dice.pick(kind.colours or ("",))
    return {"one": kind.name, "many": kind.plural, "coloured": f"{colour} {kind.name}".strip(), "other": other}, ()


def _absent_colour(facts: SceneFacts) -> Made:
    found = facts.absent_colour()
    return (facts.words(found), ()) if found else None


def _too_far(facts: SceneFacts) -> Made:
    group, side = facts.group(1, 3), facts.dice.pick(("left", "right"))
    if not group:
        return None
    number = len(group[1]) + 1
    slots = {"nth": NTH[number], "nth_digit": NTH_DIGITS[number], "side": side}
    return facts.words(group[0]) | slots, ()


def _absent_anchor(facts: SceneFacts) -> Made:
    group, absent = facts.group(2), facts.absent_kind()
    return (facts.words(group[0]) | {"anchor": absent}, ()) if group else None


def _mistyped(facts: SceneFacts) -> Made:
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


FORMS: tuple[Form, ...] = (
    Form("plain", _all, (
        "{many}", "all {many}", "every {one}", "all of the {many}", "Please highlight each {one}.", "segment the {many}",
        "Show me all the {many} in the picture", "I want to see every {one}, please", "where are the {many}?",
        "can you find all {many} for me?", "mark every single {one}",
    )),
    Form("plain", _only, (
        "the {one}", "a {one}", "where is the {one}?", "find the {one}!", "Which one is the {one}?", "just the {one}",
        "the {one} in this image", "is there a {one}?", "could you please point out the {one}",
    )),
    Form("counts", _all, (
        "how many {many} are there?", "count the {many}", "How many {many} can you see in the picture?",
        "what is the number of {many}", "number of {many} in this image", "how many {many} do you see?",
        "tell me how many {many} there are", "count all of the {many}, please",
    )),
    Form("extreme", _extreme(("left", "right")), (
        "{most} {one}", "the {one} on the far {side}", "the {one} furthest to the {side}", "the {one} that is furthest {side}",
        "which {one} is the {most}?", "the {side}-most {one}", "the most {side} {one}", "the {one} closest to the {side} edge",
        "who or what is the {most} {one}", "the {one} all the way to the {side}",
    )),
    Form("extreme", _extreme(("top", "bottom")), (
        "the {most} {one}", "the {one} nearest to the {side} of the picture", "the {one} that is closest to the {side}",
    )),
    Form("extreme", _row, (
        "the {num} {most} {many}", "the {most} {num} {many}", "the first {num} {many} from the {side}",
        "{num} {many} from the {side}", "the {digit} {many} furthest to the {side}",
        "the first {digit} {many} from {side} to {far}", "the {num} {many} closest to the {side} edge of the picture",
    )),
    Form("ordinals", _nth, (
        "the {nth} {one} from the {side}", "{nth_digit} {one} from {side}", "the {one} that is {nth} from the {side}",
        "{one} number {digit} from the {side}", "counting from the {side}, the {nth} {one}",
        "the {nth} {one} counting from the {side}", "the {nth} {one} from {side} to {far}",
        "which {one} is {nth} from the {side}?", "starting at the {side}, the {nth} {one}",
    )),
    Form("ordinals", _vertical_nth, ("the second {one} from the {side}", "2nd {one} counted from the {side}")),
    Form("ordinals", _last, (
        "the last {one} from the left", "the last {one} on the right", "the last {one} counting from left to right",
    )),
    Form("ordinals", _middle, ("the middle {one}", "the {one} in the middle", "the {one} in the center of the image")),
    Form("size", _size(False), (
        "the largest {one}", "biggest {one}", "the {one} that is the biggest", "which of the {many} is the largest?",
        "the biggest of the {many}", "the {one} with the largest area", "which {one} is biggest?",
        "the biggest one of all the {many}",
    )),
    Form("size", _size(True), ("the smallest {one}", "the tiniest {one}", "the {one} which is smallest", "smallest of the {many}")),
    Form("size", _sizes, ("the {num} {extreme} {many}", "the {extreme} {num} {many}", "the {num} {extreme} of the {many}")),
    Form("size", _second_size, ("the second largest {one}", "the second biggest of the {many}", "the 2nd largest {one}")),
    Form("size", _length(1, False), ("the tallest {one}", "which {one} is tallest?")),
    Form("size", _length(1, True), ("the shortest {one}",)),
    Form("size", _length(0, False), ("the widest {one}",)),
    Form("places", _half, (
        "{many} in the {side} half", "all {many} on the {side} side", "all the {many} in the {side} half of the picture",
        "every {one} in the {side} half of the image", "on the {side} side, all the {many}", "which {many} are on the {side}?",
    )),
    Form("places", _other_half, (
        "all {many} that are not on the {side} side", "all {many} except those on the {side}",
        "{many} not in the {side} half of the picture",
    )),
    Form("negation", _not_colours(1, False), (
        "all {many} that are not {colour1}", "all {many} except the {colour1} ones", "every {one} but the {colour1} ones",
        "{many} that aren't {colour1}", "all non-{colour1} {many}", "all of the {many} apart from the {colour1} ones",
        "the {many} other than the {colour1} ones", "every {one} which is not {colour1}", "{many}, but not the {colour1} ones",
        "the {many} without the {colour1} ones",
    )),
    Form("negation", _not_colours(2, False), (
        "all {many} that are neither {colour1} nor {colour2}", "{many} that are not {colour1} or {colour2}",
        "all {many} except the {colour1} and the {colour2} ones", "all {many} but the {colour1} and {colour2} ones",
        "every {one} that is not {colour1} and not {colour2}", "the {many} which aren't {colour1} or {colour2}",
    )),
    Form("negation", _not_colours(1, True), (
        "players not in {colour1}", "all players who are not wearing {colour1}", "every player who isn't in {colour1}",
        "all players except those in {colour1}", "the players that do not wear {colour1}",
        "all the players but not the ones in {colour1}",
    )),
    Form("negation", _not_colours(2, True), (
        "the players who are not in {colour1} or {colour2}", "players wearing neither {colour1} nor {colour2}",
        "all players except those in {colour1} or {colour2}", "players who are not wearing {colour1} nor {colour2}",
        "all players but the ones in {colour1} and the ones in {colour2}",
    )),
    Form("negation", _except_extreme, (
        "all {many} except the {most} one", "every {one} but the {most}", "all the {many} other than the one furthest to the {side}",
        "all {many} without the {most} one", "every {one} except for the one on the far {side}",
        "all but the {most} {one}",
    )),
    Form("negation", _except_biggest, (
        "all {many} except the biggest one", "every {one} that is not the biggest", "all but the biggest {one}",
    )),
    Form("patterns", _pattern(False), (
        "the {pattern} {many}", "{many} with {marks}", "all {many} that are {pattern}", "which {many} have {marks}?",
        "how many {many} have {marks}?", "all {many} that have {marks}", "every {one} with {marks} on it",
    )),
    Form("patterns", _pattern(True), (
        "{many} without {marks}", "all {many} that are not {pattern}", "every {one} that has no {marks}",
        "{many} that don't have {marks}", "all {many} except the {pattern} ones", "which {many} have no {marks}",
    )),
    Form("comparison", _compared(False), (
        "{many} larger than the {anchor}", "all {many} that are bigger than the {anchor}",
        "which {many} are larger than the {anchor}?", "every {one} that is bigger than the {anchor}",
    )),
    Form("comparison", _compared(True), (
        "{many} smaller than the {anchor}", "all {many} that are smaller than the {anchor}", "all {many} not as big as the {anchor}",
    )),
    Form("relations", _beside("left"), (
        "all {many} to the left of the {anchor}", "{many} left of the {anchor}", "every {one} on the left of the {anchor}",
        "the {many} that are to the left of the {anchor}", "what {many} are left of the {anchor}?",
        "all {many} located to the left of the {anchor}",
    )),
    Form("relations", _beside("right"), ("how many {many} are to the right of the {anchor}?", "all {many} on the right side of the {anchor}")),
    Form("relations", _beside("top"), ("all {many} above the {anchor}", "{many} higher than the {anchor}", "every {one} over the {anchor}")),
    Form("relations", _beside("bottom"), ("all {many} below the {anchor}", "{many} underneath the {anchor}")),
    Form("relations", _not_beside, ("all {many} that are not to the left of the {anchor}", "{many} that aren't left of the {anchor}")),
    Form("relations", _nearest(False), (
        "the {one} closest to the {anchor}", "the {one} nearest the {anchor}", "the nearest {one} to the {anchor}",
        "which {one} is closest to the {anchor}?", "the {one} that's nearest to the {anchor}", "the {one} next to the {anchor}",
    )),
    Form("relations", _nearest(True), (
        "the {one} farthest from the {anchor}", "the {one} furthest away from the {anchor}", "which {one} is the farthest from the {anchor}",
    )),
    Form("relations", _stacked(False), ("the {one} behind the {anchor}", "the {one} partly hidden by the {anchor}", "which {one} is behind the {anchor}?")),
    Form("relations", _stacked(True), ("the {one} in front of the {anchor}", "the {one} that is in front of the {anchor}")),
    Form("things", _coloured_things, (
        "all {colour} things", "how many {colour} objects are there?", "everything that is {colour}", "anything {colour}",
        "whatever is {colour}", "the {colour} ones", "what is {colour}?", "every {colour} item in the picture",
    )),
    Form("things", _extreme_thing, ("the biggest thing", "the largest object in the picture", "what is the biggest thing?")),
    Form("things", _leftmost_thing, ("the leftmost thing", "what is on the far left?", "the object furthest to the left")),
    Form("unions", _union, (
        "the {one} and all {others}", "{others} and the {one}", "the {others} as well as the {one}", "the {one} plus the {others}",
        "both the {one} and the {others}", "the {others} & the {one}", "the {one} together with the {others}", "the {one} or the {others}",
    )),
    Form("unions", _two_ends, (
        "the leftmost and the rightmost {one}", "the {one} furthest to the left and the one furthest to the right",
        "the leftmost {one} and also the rightmost {one}", "the {many} at both ends of the row",
    )),
    Form("unions", _two_colours, (
        "the {colour1} and {colour2} {many}", "{many} that are {colour1} or {colour2}", "all {many} in {colour1} or {colour2}",
        "{colour1} {many} and {colour2} {many}", "all the {colour1} and all the {colour2} {many}", "the {many} which are {colour1} and the {colour2} ones",
    )),
    Form("unions", _partial_union, (
        "the {absent} and the {one}", "the {one} and the {absent}", "the {one} as well as the {absent}", "the {one}, the {absent}",
    ), partial=True),
    Form("unanswerable", _absent_noun, (
        "the {one}", "all {many}", "the {coloured}", "where is the {one}?", "how many {many} are there?", "the leftmost {one}",
        "the {one} next to the {other}", "is there any {one}?", "{many} in the left half of the picture", "the biggest {one} behind the {other}",
    )),
    Form("unanswerable", _absent_colour, (
        "the {one}", "all {many}", "any {many}?", "the {one} on the left", "how many {many} are there", "the largest {one}",
    )),
    Form("unanswerable", _too_far, ("the {nth} {one} from the {side}", "{nth_digit} {one} from the {side}", "the {one} that is {nth} from the {side}")),
    Form("unanswerable", _absent_anchor, (
        "the {one} closest to the {anchor}", "all {many} to the left of the {anchor}", "the {one} behind the {anchor}",
        "the {many} smaller than the {anchor}",
    )),
    Form("typos", _mistyped, (
        "leftmost {one}", "the leftmost {one}", "the {one} furthest to the left", "the first {one} from the left", "which {one} is the leftmost",
    )),
)  # fmt: skip
"""All forms. Their wordings were written before the grammar that reads them."""
