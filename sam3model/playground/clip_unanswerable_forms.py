"""One function per kind of question without an answer in the clip: returns the text, or None if impossible."""

from collections.abc import Callable, Sequence

from sam3model.playground.clip_comparison_forms import SUPERLATIVES, extreme_text, superlative_text, there
from sam3model.playground.clip_question_forms import (
    WHO,
    ClipContext,
    ClipGroup,
    compared,
    in_order,
    ordered_text,
    those,
)
from sam3model.playground.descriptions import Describable, Description
from sam3model.playground.kinds import KINDS
from sam3model.playground.question_forms import MOST, ORDINALS
from sam3model.playground.themes import THEMES


def event(ctx: ClipContext) -> str | None:
    """Something that no such object does."""
    verb, group = ctx.verb(), ctx.group(1)
    moments = group and ctx.moments(verb, group.trails)
    if not group or not moments or any(moments.values()):
        return None
    return those(ctx, group, 1 if len(moments) == 1 else ctx.dice.pick((1, 1, 4)), ctx.dice.pick(verb.forms))


def ordinal(ctx: ClipContext) -> str | None:
    """The second or third object to do something that fewer do."""
    verb, group = ctx.verb(instant=True), ctx.group(2)
    order = group and in_order(ctx, verb, group.trails)
    if not group or not order or len(order) > 2:
        return None
    return f"the {ORDINALS[len(order) + 1]} {ctx.np(group)} to {ctx.dice.pick(verb.forms)[1]}"


def before(ctx: ClipContext) -> str | None:
    """Something that no such object does before or after another one does something."""
    found = compared(ctx, ctx.group(1))
    return f"{those(ctx, found[0], 1, found[2])} {found[3]}" if found and not found[1] else None


def colour(ctx: ClipContext) -> str | None:
    """A kind that is there, in a colour that is not."""
    present: dict[str, set[str]] = {}
    for obj in _everything(ctx):
        present.setdefault(obj.kind, set()).add(obj.colour)
    options = [
        Description(kind, word)
        for kind in sorted({trail.obj.kind for trail in ctx.facts.clip.trails})
        for word in KINDS[kind].colours
        if word not in present[kind]
    ]
    return _about(ctx, ctx.dice.pick(options)) if options else None


def noun(ctx: ClipContext) -> str | None:
    """A kind that is not there."""
    here = {obj.kind for obj in _everything(ctx)}
    near = [kind for kind in THEMES[ctx.facts.clip.theme].kinds if kind not in here]
    kind = ctx.dice.pick(near if near and ctx.dice.chance(0.5) else [name for name in KINDS if name not in here])
    options = KINDS[kind].colours
    return _about(ctx, Description(kind, ctx.dice.pick(options) if options and ctx.dice.chance(0.4) else ""))


def absent_then(ctx: ClipContext) -> str | None:
    """Objects that are not in the picture at the start or end."""
    group, when = ctx.group(1), ctx.dice.pick(("start", "end"))
    seen = group and there(ctx, group.trails, when)
    if not group or seen is None or seen:
        return None
    place = f"in the picture at the {when}"
    return those(ctx, group, min(2, len(group.trails)), (f"is {place}", f"are {place}"))


def _everything(ctx: ClipContext) -> Sequence[Describable]:
    return [*ctx.facts.clip.objects, *ctx.facts.clip.unclear]


def _about(ctx: ClipContext, description: Description) -> str:
    """A question about time with an absent object."""
    group = ClipGroup(description, ())
    np_, who = ctx.np(group), "who" if description.kind in WHO else "that"
    verb = ctx.verb()
    form = ctx.dice.pick(verb.forms)
    options = [
        those(ctx, group, ctx.dice.pick((1, 4)), form),
        superlative_text(ctx, np_, who, ctx.dice.pick(tuple(SUPERLATIVES))),
        extreme_text(ctx, np_, who, ctx.dice.pick(tuple(MOST)), ctx.dice.pick(("start", "end"))),
    ]
    if verb.instant:
        options.append(ordered_text(ctx, group, ctx.dice.pick(("first", "last")), form))
    return ctx.dice.pick(options)


UNANSWERABLE_CLIP_FORMS: dict[str, Callable[[ClipContext], str | None]] = {
    f"none:{maker.__name__}": maker for maker in (event, ordinal, before, colour, noun, absent_then)
}
