"""One function per kind of question with an answer: returns text and object ids, or None if the scene allows none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sam3model.playground import relations
from sam3model.playground.descriptions import PEOPLE, Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.scene import Scene, SceneObject

Wording = tuple[str, tuple[int, ...]] | None
Group = tuple[Description, list[SceneObject]]

NUMBERS = {2: "two", 3: "three"}
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
MOST = {"left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost"}
BESIDE = {"left": "to the left of", "right": "to the right of", "top": "above", "bottom": "below"}


@dataclass
class QuestionContext:
    """A scene, all descriptions with their matching objects, and the random choices for one question."""

    scene: Scene
    groups: list[Group]
    dice: Dice

    def group(self, minimum: int) -> Group | None:
        """A description without a size word that matches at least `minimum` objects."""
        options = [(d, objects) for d, objects in self.groups if len(objects) >= minimum and not d.size]
        return self.dice.pick(options) if options else None

    def pair(self, minimum: int) -> tuple[Group, Description, SceneObject] | None:
        """A group, and another description that matches exactly one object, which is not in the group."""
        anchors = [(d, objects[0]) for d, objects in self.groups if len(objects) == 1 and not d.size]
        if not anchors:
            return None
        description, anchor = self.dice.pick(anchors)
        options = [
            (d, objects)
            for d, objects in self.groups
            if len(objects) >= minimum and not d.size and anchor not in objects
        ]
        return (self.dice.pick(options), description, anchor) if options else None

    def np(self, description: Description, *, plural: bool = False) -> str:
        """A noun phrase for the description, mostly in its most common form."""
        return say(description, self.dice, plural=plural, plain=self.dice.chance(0.75))

    def side(self, options: Sequence[str] = tuple(MOST)) -> str:
        """A random side of the image."""
        return self.dice.pick(options)

    def the(self, text: str) -> str:
        """The text with or without an article."""
        return f"the {text}" if self.dice.chance(0.7) else text


def plain(ctx: QuestionContext) -> Wording:
    """All objects that match a noun phrase."""
    description, objects = ctx.dice.pick(ctx.groups)
    ids = tuple(obj.id for obj in objects)
    if len(ids) == 1:
        return ctx.the(ctx.np(description)), ids
    if ctx.dice.chance(0.6):
        return f"all {ctx.np(description, plural=True)}", ids
    return f"every {ctx.np(description)}", ids


def extreme(ctx: QuestionContext) -> Wording:
    """The object nearest to a side of the image."""
    group = ctx.group(2)
    side = ctx.side()
    ids = group and relations.first(ctx.scene, group[1], side, 1)
    if not group or not ids:
        return None
    return extreme_text(ctx, ctx.np(group[0]), side), ids


def extreme_text(ctx: QuestionContext, phrase: str, side: str) -> str:
    """Wording for the object nearest to a side."""
    if side in ("left", "right") and ctx.dice.chance(0.2):
        return f"the {phrase} furthest to the {side}"
    return ctx.the(f"{MOST[side]} {phrase}")


def extreme_group(ctx: QuestionContext) -> Wording:
    """The two or three objects nearest to the left or right side."""
    count, side = ctx.dice.pick((2, 2, 3)), ctx.side(("left", "right"))
    group = ctx.group(count + 1)
    ids = group and relations.first(ctx.scene, group[1], side, count)
    return (f"the {NUMBERS[count]} {MOST[side]} {ctx.np(group[0], plural=True)}", ids) if group and ids else None


def size(ctx: QuestionContext) -> Wording:
    """The largest or smallest object."""
    word = ctx.dice.pick(("largest", "biggest", "smallest"))
    group = ctx.group(2)
    ids = group and relations.largest(group[1], 1, smallest=word == "smallest")
    return (ctx.the(f"{word} {ctx.np(group[0])}"), ids) if group and ids else None


def size_group(ctx: QuestionContext) -> Wording:
    """The two or three largest or smallest objects."""
    count, word = ctx.dice.pick((2, 2, 3)), ctx.dice.pick(("largest", "smallest"))
    group = ctx.group(count + 1)
    ids = group and relations.largest(group[1], count, smallest=word == "smallest")
    return (f"the {NUMBERS[count]} {word} {ctx.np(group[0], plural=True)}", ids) if group and ids else None


def ordinal(ctx: QuestionContext) -> Wording:
    """The second to fifth object from the left or right."""
    group = ctx.group(3)
    if not group:
        return None
    number, side = ctx.dice.integer(2, min(5, len(group[1]))), ctx.side(("left", "right"))
    ids = relations.nth(ctx.scene, group[1], side, number)
    return (ctx.the(f"{ORDINALS[number]} {ctx.np(group[0])} from the {side}"), ids) if ids else None


def half(ctx: QuestionContext) -> Wording:
    """All objects in one half of the image."""
    group, side = ctx.group(2), ctx.side()
    ids = group and relations.half(ctx.scene, group[1], side)
    return (half_text(ctx, ctx.np(group[0], plural=True), side), ids) if group and ids else None


def half_text(ctx: QuestionContext, phrase: str, side: str) -> str:
    """Wording for all objects in one half."""
    if side in ("left", "right") and ctx.dice.chance(0.5):
        return f"all {phrase} on the {side} side"
    return f"{ctx.dice.pick(('all', 'the'))} {phrase} in the {side} half of the picture"


def except_colour(ctx: QuestionContext) -> Wording:
    """All objects of a kind except those of one colour."""
    kinds = [
        (d, objects) for d, objects in ctx.groups if d == Description(d.kind) and len({t.colour for t in objects}) > 1
    ]
    if not kinds:
        return None
    description, objects = ctx.dice.pick(kinds)
    colour = ctx.dice.pick(sorted({obj.colour for obj in objects}))
    out = [obj for obj in objects if obj.colour == colour]
    ids = tuple(obj.id for obj in objects if obj.colour != colour)
    one, many = ctx.np(description), ctx.np(description, plural=True)
    if ctx.dice.chance(0.3):
        joint = "not in" if description.kind in PEOPLE else "not"
        return f"all {many} that are {joint} {colour}", ids
    ones = "one" if len(out) == 1 else "ones"
    rest = f"the {ones} in {colour}" if description.kind in PEOPLE and ctx.dice.chance(0.7) else f"the {colour} {ones}"
    return (f"every {one} except {rest}" if len(out) == 1 else f"all {many} except {rest}"), ids


def except_extreme(ctx: QuestionContext) -> Wording:
    """All objects except the one nearest to the left or right side."""
    group, side = ctx.group(3), ctx.side(("left", "right"))
    out = group and relations.first(ctx.scene, group[1], side, 1)
    if not group or not out:
        return None
    ids = tuple(obj.id for obj in group[1] if obj.id not in out)
    if ctx.dice.chance(0.5):
        return f"all {ctx.np(group[0], plural=True)} except the {MOST[side]} one", ids
    return f"every {ctx.np(group[0])} but the {MOST[side]} one", ids


def behind(ctx: QuestionContext) -> Wording:
    """The object behind an anchor, as shown by occlusion."""
    return _stacked(ctx, front=False)


def front(ctx: QuestionContext) -> Wording:
    """The object in front of an anchor, as shown by occlusion."""
    return _stacked(ctx, front=True)


def _stacked(ctx: QuestionContext, *, front: bool) -> Wording:
    groups = [(d, objects) for d, objects in ctx.groups if not d.size]
    options = []
    for name, anchors in groups:
        for description, objects in groups:
            if len(anchors) == 1 and anchors[0] not in objects:
                ids = relations.behind(objects, anchors[0], front=front)
                options += [(description, name, ids)] if ids and len(ids) == 1 else []
    if not options:
        return None
    description, name, ids = ctx.dice.pick(options)
    return f"the {ctx.np(description)} {'in front of' if front else 'behind'} the {ctx.np(name)}", ids


def nearest(ctx: QuestionContext) -> Wording:
    """The object closest to an anchor."""
    pair = ctx.pair(2)
    ids = pair and relations.nearest(pair[0][1], pair[2])
    word = ctx.dice.pick(("closest to", "nearest to"))
    return (f"the {ctx.np(pair[0][0])} {word} the {ctx.np(pair[1])}", ids) if pair and ids else None


def farthest(ctx: QuestionContext) -> Wording:
    """The object farthest from an anchor."""
    pair = ctx.pair(2)
    ids = pair and relations.nearest(pair[0][1], pair[2], farthest=True)
    return (f"the {ctx.np(pair[0][0])} farthest from the {ctx.np(pair[1])}", ids) if pair and ids else None


def relation(ctx: QuestionContext) -> Wording:
    """All objects on one side of an anchor."""
    pair, side = ctx.pair(1), ctx.side()
    ids = pair and relations.beside(pair[0][1], pair[2], side)
    if not pair or not ids:
        return None
    return f"all {ctx.np(pair[0][0], plural=True)} {BESIDE[side]} the {ctx.np(pair[1])}", ids


def union(ctx: QuestionContext) -> Wording:
    """The objects that match either of two noun phrases."""
    one, two = ctx.group(1), ctx.group(1)
    if not one or not two or one[0].kind == two[0].kind:
        return None
    parts = []
    for description, objects in (one, two):
        many = len(objects) > 1
        parts.append(f"{'all' if many else 'the'} {ctx.np(description, plural=many)}")
    return " and ".join(parts), tuple(sorted(obj.id for obj in one[1] + two[1]))


ANSWERABLE_FORMS: dict[str, Callable[[QuestionContext], Wording]] = {
    maker.__name__: maker
    for maker in (
        plain, extreme, extreme_group, size, size_group, ordinal, half, except_colour, except_extreme, behind, front,
        nearest, farthest, relation, union,
    )
}  # fmt: skip


def absent_phrase(ctx: QuestionContext, description: Description) -> str:
    """A simple question about an absent object."""
    many = ctx.dice.chance(0.35)
    phrase = ctx.np(description, plural=many)
    if many:
        return ctx.dice.pick((f"all {phrase}", half_text(ctx, phrase, ctx.side())))
    return ctx.dice.pick(
        (
            ctx.the(phrase),
            extreme_text(ctx, phrase, ctx.side()),
            f"the {ctx.dice.pick(('largest', 'smallest'))} {phrase}",
        )
    )
