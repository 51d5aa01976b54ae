"""Questions about what objects of a clip do: a function per kind returns a `ClipWording`, or None if there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sam3model.playground.clip_facts import Moment, Moments, TimeFacts
from sam3model.playground.clip_trails import Trail
from sam3model.playground.clip_verbs import VERBS, Verb
from sam3model.playground.descriptions import PEOPLE, Description, say
from sam3model.playground.dice import Dice
from sam3model.playground.question_forms import NUMBERS, ORDINALS

ClipWording = tuple[str, tuple[int, ...], Moment] | None
"""Text, ids of the answer, and the frames that prove it."""

LEAD = 0.3
"""Minimum seconds between events of which one is called first or last."""
WHO = (*PEOPLE, "referee")
"""Kinds that are asked for with "who"."""


@dataclass(frozen=True, slots=True)
class ClipGroup:
    """A description with its trails."""

    description: Description
    trails: tuple[Trail, ...]

    @property
    def who(self) -> str:
        """The relative pronoun."""
        return "who" if self.description.kind in WHO else "that"


@dataclass(frozen=True, slots=True)
class ClipContext:
    """The facts of a clip, its descriptions with their trails, and the random choices for one question.

    known: facts that were already found, by verb and object; shared by the questions of a clip.
    """

    facts: TimeFacts
    groups: tuple[ClipGroup, ...]
    dice: Dice
    known: dict[tuple[str, int], Moments | None]

    def group(self, minimum: int = 2) -> ClipGroup | None:
        """A description that matches at least `minimum` objects."""
        options = [group for group in self.groups if len(group.trails) >= minimum and not group.description.size]
        return self.dice.pick(options) if options else None

    def anchor(self, group: ClipGroup) -> tuple[str, Trail] | None:
        """A noun phrase that matches exactly one object, which is not in the group; and that object."""
        mine = {trail.id for trail in group.trails}
        options = [
            other
            for other in self.groups
            if len(other.trails) == 1 and other.trails[0].id not in mine and not other.description.size
        ]
        if not options:
            return None
        other = self.dice.pick(options)
        return self.np(other), other.trails[0]

    def np(self, group: ClipGroup, *, plural: bool = False) -> str:
        """A noun phrase for the group, mostly in its most common form."""
        return say(group.description, self.dice, plural=plural, plain=self.dice.chance(0.75))

    def verb(self, *, instant: bool = False) -> Verb:
        """A random verb."""
        return self.dice.pick([verb for verb in VERBS.values() if verb.instant or not instant])

    def moments(self, verb: Verb, trails: Sequence[Trail]) -> dict[int, Moments] | None:
        """What each object does, by id; None if that is unclear for any of them."""
        found = {trail.id: self.moments_of(verb, trail) for trail in trails}
        clear = {i: moments for i, moments in found.items() if moments is not None}
        return clear if len(clear) == len(found) else None

    def moments_of(self, verb: Verb, trail: Trail) -> Moments | None:
        """What an object does; None if that is unclear."""
        key = verb.forms[0][0], trail.id
        if key not in self.known:
            self.known[key] = verb.fact(self.facts, trail)
        return self.known[key]

    def lead(self) -> int:
        """Minimum number of frames between two events in order."""
        return self.facts.frames(LEAD)


def spanned(moments: Sequence[Moment]) -> Moment:
    """The frames from the first to the last of some moments."""
    return Moment(min(moment.start for moment in moments), max(moment.end for moment in moments))


def those(ctx: ClipContext, group: ClipGroup, count: int, form: tuple[str, str]) -> str:
    """Wording for `count` objects of a group that do something."""
    one, many = form
    if count == 1:
        return f"the {ctx.np(group)} {group.who} {one}"
    plural = f"{ctx.np(group, plural=True)} {group.who} {many}"
    options = [f"all {plural}", f"the {plural}", f"every {ctx.np(group)} {group.who} {one}"]
    if count in NUMBERS:
        options.append(f"the {NUMBERS[count]} {plural}")
    return ctx.dice.pick(options)


def happens(ctx: ClipContext) -> ClipWording:
    """All objects that do something, of some that could: "the car that stops"."""
    group = ctx.group(1 if ctx.dice.chance(0.25) else 2)
    verb = ctx.verb(instant=group is not None and len(group.trails) == 1)
    moments = group and ctx.moments(verb, group.trails)
    if not group or not moments:
        return None
    doing = {i: found for i, found in moments.items() if found}
    if not doing or len(doing) == len(moments) > 1:
        return None
    proof = spanned([moment for found in doing.values() for moment in found])
    return those(ctx, group, len(doing), ctx.dice.pick(verb.forms)), tuple(doing), proof


def refrains(ctx: ClipContext) -> ClipWording:
    """All objects that do not do something others do: "the car that does not stop"."""
    verb, group = ctx.dice.pick([verb for verb in VERBS.values() if verb.negated]), ctx.group()
    moments = group and ctx.moments(verb, group.trails)
    if not group or not moments:
        return None
    ids = tuple(i for i, found in moments.items() if not found)
    still = verb.moving and not all(ctx.facts.moves(trail) for trail in group.trails)
    if not 0 < len(ids) < len(moments) or still:
        return None
    return those(ctx, group, len(ids), ctx.dice.pick(verb.negated)), ids, ctx.facts.whole()


def except_one(ctx: ClipContext) -> ClipWording:
    """All objects but the one that does something."""
    verb, group = ctx.verb(), ctx.group(3)
    moments = group and ctx.moments(verb, group.trails)
    if not group or not moments:
        return None
    doing = [i for i, found in moments.items() if found]
    if len(doing) != 1:
        return None
    text = f"all {ctx.np(group, plural=True)} except the one {group.who} {ctx.dice.pick(verb.forms)[0]}"
    return text, tuple(i for i in moments if i not in doing), moments[doing[0]][0]


def in_order(ctx: ClipContext, verb: Verb, trails: Sequence[Trail]) -> list[tuple[int, Moment]] | None:
    """The objects that do something, in order of time; None unless the order is clear and each does it once."""
    moments = ctx.moments(verb, trails)
    if moments is None or any(len(found) > 1 for found in moments.values()):
        return None
    return sorted(((i, found[0]) for i, found in moments.items() if found), key=lambda pair: pair[1].start)


def _ahead(ctx: ClipContext, one: Moment, two: Moment) -> bool:
    return min(two.start - one.start, two.end - one.end) >= ctx.lead()


def first_or_last(ctx: ClipContext) -> ClipWording:
    """The first or last object to do something."""
    verb, group = ctx.verb(instant=True), ctx.group()
    order = group and in_order(ctx, verb, group.trails)
    if not group or not order or len(order) < 2:
        return None
    word = ctx.dice.pick(("first", "last"))
    one, two = order[:2] if word == "first" else order[-2:]
    if not _ahead(ctx, one[1], two[1]):
        return None
    chosen = one if word == "first" else two
    return ordered_text(ctx, group, word, ctx.dice.pick(verb.forms)), (chosen[0],), spanned([one[1], two[1]])


def ordered_text(ctx: ClipContext, group: ClipGroup, word: str, form: tuple[str, str]) -> str:
    """Wording for the first or last object to do something."""
    return ctx.dice.pick(
        (
            f"the {word} {ctx.np(group)} to {form[1]}",
            f"the {ctx.np(group)} {group.who} {form[0]} {word}",
            f"the {ctx.np(group)} {group.who} is the {word} to {form[1]}",
        )
    )


def who_is_first(ctx: ClipContext) -> ClipWording:
    """Of all people, or of all objects, the first or last to do something: "who enters last"."""
    people = tuple(trail for trail in _everyone(ctx) if trail.obj.kind in WHO)
    trails = people if len(people) > 1 and ctx.dice.chance(0.8) else _everyone(ctx)
    verb = ctx.verb(instant=True)
    order = in_order(ctx, verb, trails)
    if not order or len(order) < 2 or ctx.facts.clip.unclear:
        return None
    word = ctx.dice.pick(("first", "last"))
    one, two = order[:2] if word == "first" else order[-2:]
    if not _ahead(ctx, one[1], two[1]):
        return None
    chosen = one if word == "first" else two
    names = ("who", "the person who") if trails is people else ("what", "the object that", "whatever")
    text = f"{ctx.dice.pick(names)} {ctx.dice.pick(verb.forms)[0]} {word}"
    return text, (chosen[0],), spanned([one[1], two[1]])


def _everyone(ctx: ClipContext) -> tuple[Trail, ...]:
    return ctx.facts.clip.trails


def nth(ctx: ClipContext) -> ClipWording:
    """The second or third object to do something."""
    verb, group = ctx.verb(instant=True), ctx.group(3)
    order = group and in_order(ctx, verb, group.trails)
    if not group or not order or len(order) < 2:
        return None
    number = ctx.dice.integer(2, min(3, len(order)))
    near = order[number - 2 : number + 1]
    if not all(_ahead(ctx, one[1], two[1]) for one, two in pairwise(near)):
        return None
    chosen = order[number - 1]
    text = f"the {ORDINALS[number]} {ctx.np(group)} to {ctx.dice.pick(verb.forms)[1]}"
    return text, (chosen[0],), spanned([moment for _, moment in order[:number]])


def before_or_after(ctx: ClipContext) -> ClipWording:
    """The objects that do something before or after another one does: "the car that stops after the bus leaves"."""
    found = compared(ctx, ctx.group(1))
    if not found or not found[1]:
        return None
    group, ids, form, tail, proof = found
    return f"{those(ctx, group, len(ids), form)} {tail}", ids, proof


Compared = tuple[ClipGroup, tuple[int, ...], tuple[str, str], str, Moment]


def compared(ctx: ClipContext, group: ClipGroup | None) -> Compared | None:
    """Group, ids, form of the verb, "before the X leaves" and proof; None if the clip allows no such question."""
    anchor = group and ctx.anchor(group)
    verb, other = ctx.verb(instant=True), ctx.verb(instant=True)
    if not group or not anchor:
        return None
    moments, at = ctx.moments(verb, group.trails), ctx.moments_of(other, anchor[1])
    if not moments or not at or len(at) > 1 or not any(moments.values()):
        return None
    event = next(iter(at))
    word = ctx.dice.pick(("before", "after"))
    ids, proof = [], [event]
    for i, found in moments.items():
        for moment in found:
            early, late = _ahead(ctx, moment, event), _ahead(ctx, event, moment)
            if not early and not late:
                return None
            if early if word == "before" else late:
                ids.append(i)
                proof.append(moment)
    tail = f"{word} the {anchor[0]} {ctx.dice.pick(other.forms)[0]}"
    return group, tuple(dict.fromkeys(ids)), ctx.dice.pick(verb.forms), tail, spanned(proof)


CLIP_FORMS: dict[str, Callable[[ClipContext], ClipWording]] = {
    maker.__name__: maker
    for maker in (happens, refrains, except_one, first_or_last, who_is_first, nth, before_or_after)
}
"""Forms about what objects do; `clip_comparison_forms` has those about how fast, how far and where."""
