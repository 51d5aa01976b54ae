"""One function per kind of question without a match in the scene: returns the text, or None if impossible."""

from collections.abc import Callable

from sam3model.playground import relations
from sam3model.playground.descriptions import Description
from sam3model.playground.kinds import KINDS
from sam3model.playground.palette import COLOURS
from sam3model.playground.question_forms import BESIDE, ORDINALS, QuestionContext, absent_phrase, half_text


def colour(ctx: QuestionContext) -> str | None:
    """A present kind in an absent colour."""
    absent = _recoloured(ctx)
    return absent_phrase(ctx, absent) if absent else None


def noun(ctx: QuestionContext) -> str | None:
    """An absent kind."""
    return absent_phrase(ctx, _missing(ctx))


def ordinal(ctx: QuestionContext) -> str | None:
    """An ordinal larger than the number of objects."""
    group = ctx.group(1)
    if not group or len(group[1]) > 4:
        return None
    number = ctx.dice.integer(len(group[1]) + 1, min(5, len(group[1]) + 2))
    return ctx.the(f"{ORDINALS[number]} {ctx.np(group[0])} from the {ctx.side(('left', 'right'))}")


def half(ctx: QuestionContext) -> str | None:
    """A half of the image without any match."""
    group, side = ctx.group(1), ctx.side()
    if not group or relations.half(ctx.scene, group[1], side) != ():
        return None
    return half_text(ctx, ctx.np(group[0], plural=True), side)


def anchor(ctx: QuestionContext) -> str | None:
    """A relation to an absent anchor."""
    group = ctx.group(1)
    absent = (ctx.dice.chance(0.5) and _recoloured(ctx)) or _missing(ctx)
    if not group or absent.kind == group[0].kind:
        return None
    joint = ctx.dice.pick(("closest to", "nearest to", "behind", "in front of", "farthest from"))
    return f"the {ctx.np(group[0])} {joint} the {ctx.np(absent)}"


def behind(ctx: QuestionContext) -> str | None:
    """A relation to a present anchor that no object has."""
    pair = ctx.pair(1)
    if not pair:
        return None
    (description, objects), name, obj = pair
    side = ctx.side()
    if ctx.dice.chance(0.5) and relations.beside(objects, obj, side) == ():
        return f"all {ctx.np(description, plural=True)} {BESIDE[side]} the {ctx.np(name)}"
    front = ctx.dice.chance(0.4)
    if relations.behind(objects, obj, front=front) != ():
        return None
    return f"the {ctx.np(description)} {'in front of' if front else 'behind'} the {ctx.np(name)}"


def _recoloured(ctx: QuestionContext) -> Description | None:
    kinds = {
        obj.kind: {other.colour for other in ctx.scene.objects if other.kind == obj.kind} for obj in ctx.scene.objects
    }
    options = [
        Description(kind, word)
        for kind, here in kinds.items()
        for word in COLOURS
        if word in KINDS[kind].colours and word not in here
    ]
    return ctx.dice.pick(options) if options else None


def _missing(ctx: QuestionContext) -> Description:
    here = {obj.kind for obj in ctx.scene.objects}
    kind = KINDS[ctx.dice.pick([name for name in KINDS if name not in here])]
    return Description(kind.name, ctx.dice.pick(kind.colours) if kind.colours and ctx.dice.chance(0.4) else "")


UNANSWERABLE_FORMS: dict[str, Callable[[QuestionContext], str | None]] = {
    f"none:{maker.__name__}": maker for maker in (colour, noun, ordinal, half, anchor, behind)
}
