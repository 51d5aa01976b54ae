"""One function for each sort of question that nothing in the scene answers: each returns a text, or None."""

from collections.abc import Callable

from sam3model.playground import relations
from sam3model.playground.asking import BESIDE, ORDINALS, Asker, absent_phrase, half_text
from sam3model.playground.descriptions import Description
from sam3model.playground.kinds import KINDS
from sam3model.playground.palette import COLOURS


def colour(asker: Asker) -> str | None:
    """A kind that is there, in a colour that it has not."""
    absent = _recoloured(asker)
    return absent_phrase(asker, absent) if absent else None


def noun(asker: Asker) -> str | None:
    """A kind that is not there."""
    return absent_phrase(asker, _missing(asker))


def ordinal(asker: Asker) -> str | None:
    """Further from the side than there are things."""
    group = asker.group(1)
    if not group or len(group[1]) > 4:
        return None
    number = asker.dice.integer(len(group[1]) + 1, min(5, len(group[1]) + 2))
    return asker.the(f"{ORDINALS[number]} {asker.np(group[0])} from the {asker.side(('left', 'right'))}")


def half(asker: Asker) -> str | None:
    """A half of the picture without any of them."""
    group, side = asker.group(1), asker.side()
    if not group or relations.half(asker.scene, group[1], side) != ():
        return None
    return half_text(asker, asker.np(group[0], plural=True), side)


def anchor(asker: Asker) -> str | None:
    """Something beside or behind a thing that is not there."""
    group = asker.group(1)
    absent = (asker.dice.chance(0.5) and _recoloured(asker)) or _missing(asker)
    if not group or absent.kind == group[0].kind:
        return None
    joint = asker.dice.pick(("closest to", "nearest to", "behind", "in front of", "farthest from"))
    return f"the {asker.np(group[0])} {joint} the {asker.np(absent)}"


def behind(asker: Asker) -> str | None:
    """Nothing behind, in front of, or to that side of a thing that is there."""
    pair = asker.pair(1)
    if not pair:
        return None
    (description, things), name, thing = pair
    side = asker.side()
    if asker.dice.chance(0.5) and relations.beside(things, thing, side) == ():
        return f"all {asker.np(description, plural=True)} {BESIDE[side]} the {asker.np(name)}"
    front = asker.dice.chance(0.4)
    if relations.behind(things, thing, front=front) != ():
        return None
    return f"the {asker.np(description)} {'in front of' if front else 'behind'} the {asker.np(name)}"


def _recoloured(asker: Asker) -> Description | None:
    kinds = {
        thing.kind: {other.colour for other in asker.scene.objects if other.kind == thing.kind}
        for thing in asker.scene.objects
    }
    options = [
        Description(kind, word)
        for kind, here in kinds.items()
        for word in COLOURS
        if word in KINDS[kind].colours and word not in here
    ]
    return asker.dice.pick(options) if options else None


def _missing(asker: Asker) -> Description:
    here = {thing.kind for thing in asker.scene.objects}
    kind = KINDS[asker.dice.pick([name for name in KINDS if name not in here])]
    return Description(kind.name, asker.dice.pick(kind.colours) if kind.colours and asker.dice.chance(0.4) else "")


REFUSERS: dict[str, Callable[[Asker], str | None]] = {
    f"none:{maker.__name__}": maker for maker in (colour, noun, ordinal, half, anchor, behind)
}
