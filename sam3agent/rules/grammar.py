"""Parses a question into a plan: clauses are cut off one after another until a noun phrase remains.

    "every player except the one in blue"         -> player, except player in blue
    "the second red ball from the left"           -> red ball, second from the left
    "the two largest cars behind the green tree"  -> car, behind green tree, largest two
    "the left dog on the sofa"                    -> dog, on sofa, leftmost

Words that the grammar does not know stay in the noun phrase that the segmenter is prompted with.
"""

import itertools
import re
from dataclasses import replace
from typing import get_args

from sam3agent.rules.question_plan import Axis, NounPhrase, QuestionPlan, Ranking, Relation, RelationKind, Side, Target
from sam3agent.rules.words import (
    CLAUSE,
    COLOURS,
    LEAD_IN,
    NUMBERS,
    ORDINALS,
    OWN_SIDE,
    TAIL,
    is_plural,
    singular,
)

_AXES: dict[str, Axis] = {
    "leftmost": "left", "rightmost": "right", "topmost": "top", "uppermost": "top", "highest": "top",
    "bottommost": "bottom", "lowermost": "bottom", "lowest": "bottom", "largest": "large", "biggest": "large",
    "smallest": "small", "littlest": "small", "tiniest": "small", "tallest": "tall", "shortest": "short",
    "widest": "wide", "longest": "wide", "narrowest": "narrow", "thinnest": "narrow", "middle": "middle",
    "central": "middle", "centremost": "middle",
}  # fmt: skip
_SIDES: dict[str, Side] = {
    "left": "left", "right": "right", "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom",
}  # fmt: skip
_NON_NOUNS = {*COLOURS, *_AXES, *_SIDES, *ORDINALS, "the", "all", "every"}
_COUNT = rf"(?:\d+|{'|'.join(NUMBERS)})"
_AXIS = "|".join(_AXES)
_ORDINAL = "|".join(ORDINALS)
_SIDE = "left|right|top|bottom"

_EXCEPT = re.compile(
    r"^(?P<all>.+?),? (?:except(?: for)?|excluding|other than|apart from|besides|but not|but|"
    r"(?:(?:that|who|which) )?(?:(?:are|is|do|does) )?(?:not|aren't|isn't)) (?P<out>.+)$"
)
_RELATIONS: tuple[tuple[RelationKind, str], ...] = (
    ("behind", r"behind|hidden by|partly hidden by|covered by"),
    ("front", r"in front of"),
    ("nearest", r"(?:the )?(?:closest|nearest)(?: one)?(?: to)?"),
    ("near", r"next to|beside|near(?: to)?|close to|by"),
    ("farthest", r"(?:the )?(?:farthest|furthest)(?: away)?(?: one)? from"),
    ("left", r"(?:(?:to|on|at) the )?left(?: side)? of|left from"),
    ("right", r"(?:(?:to|on|at) the )?right(?: side)? of|right from"),
    ("on", r"on top of|(?:up)?on(?= (?:the|an?|this|that) (?!picture|image|photo|scene|frame))"),
    ("above", r"above|over|higher than"),
    ("below", r"below|under|beneath|underneath|lower than"),
    ("between", r"(?:in )?between"),
)
_POSTURE = "sitting|seated|lying|sleeping|resting|walking|running|parked|perched|hanging|leaning|floating"
_RELATION = re.compile(
    rf"^(?P<what>.+?) (?:(?:{_POSTURE}) )?(?:"
    + "|".join(f"(?P<{kind}>{words})" for kind, words in _RELATIONS)
    + r") (?P<anchor>.+)$"
)
_NEAREST_FIRST = re.compile(
    r"^(?:the )?(?P<count>(?:\d+|[a-z]+) )?(?P<kind>closest|nearest|farthest|furthest) "
    r"(?P<what>.+?) (?:to|from) (?P<anchor>.+)$"
)
_FURTHEST = re.compile(
    rf"\b(?:the )?(?:furthest|farthest|most|closest|nearest)(?: away)?(?: to(?: the)?| on(?: the)?)? "
    rf"(?P<side>{_SIDE})(?: edge| side)?\b"
    r"(?! of (?!the (?:picture|image|photo)))"
)
_FROM = re.compile(
    rf"\b(?:(?P<ordinal>{_ORDINAL}) )(?P<what>.*?)\s*(?:counted |counting )?from (?:the )?(?P<side>{_SIDE})\b"
)
_RANKED = re.compile(
    rf"\b(?:(?P<ordinal>{_ORDINAL}) |(?P<before>{_COUNT}) )?(?P<axis>{_AXIS})(?: (?P<after>{_COUNT})\b)?"
)
_AFTER_PLACE = (
    r"(?=,|$| (?:in|on|at|with|without|from|to|by|near|next|beside|behind|under|over|above|below|beneath|underneath|"
    r"between|inside|against|closest|nearest|farthest|furthest|hidden|partly|made|and|or|but|except|that|who|which|is|"
    r"are|as|please|\w+ing|\w+ed)\b)"
)
"""What may follow "on the left". Before any other word ("on the left table"), the side belongs to that word."""
_PLACE = re.compile(
    r"\b(?:(?:in|on|at|to|towards?|near) )(?:the )?(?:far |very |extreme )?"
    r"(?P<first>left|right|top|bottom|upper|lower)(?:[ -](?P<second>left|right))?"
    r"(?:[ -](?:hand side|hand|side|half|part|edge|corner|third))*+"
    rf"(?: of (?:the |this )?(?:picture|image|photo|scene|frame))?\b{_AFTER_PLACE}"
)
_MIDDLE = re.compile(
    r"\b(?:in|at|near) the (?:very )?(?:middle|centre)"
    r"(?: of (?:the |this )?(?:picture|image|photo|scene|frame))?\b(?! of)"
)
_HOW_MANY = re.compile(
    r"^(?:(?:tell me )?how many|(?:please )?count(?: up)?|(?:what(?:'s| is) )?(?:the )?number of) "
    r"(?:of )?(?:the |all )*(?P<what>.+?)"
    r"(?: (?:are there|there are|is there|do you see|can you see|can be seen|do we have|exist)\b(?P<where>.*))?$"
)
_ANYTHING = re.compile(
    rf"^(?:what|who|whatever|whoever|anything|something)(?:'s| is| are) (?=(?:(?:{_POSTURE}|standing) )?"
    rf"(?:{'|'.join(words for _, words in _RELATIONS)}|(?:in|on|at) the (?:{_SIDE}|upper|lower|middle|centre)) ?)"
)
_QUALITY = re.compile(
    rf"^(?:which|what|all) (?P<what>(?:(?!\b(?:is|are)\b).)+?)(?: that| which| who)? (?:is|are) (?:the )?"
    rf"(?P<quality>(?:(?:{_ORDINAL}) )?(?:{_AXIS})|{'|'.join(COLOURS)})$"
)
_SIDED = re.compile(
    rf"^(?P<before>(?:(?:the|an?|this|that|these|those|all|every|each|both|of|{_COUNT}) )*)"
    r"(?P<first>left|right|top|bottom|upper|lower)(?:[ -](?P<second>left|right))?(?:[ -]hand)? (?P<after>.+)$"
)
_DETERMINER = re.compile(
    r"^(?:of )?(?:(?P<all>all|every|each|any|both)\b ?)?(?:of )?(?:(?:the|a|an|this|that|some|those|these)\b ?)*"
    rf"(?:(?P<number>{_COUNT})\b ?)?"
)
_WORN = re.compile(rf" (?:in|wearing) ((?:(?:{'|'.join(COLOURS)}|and) ?)+)$")
_OF = re.compile(rf"\b(?:{_AXIS}) (?:one )?of\b")
_ONE_OF = re.compile(rf"^the (left|right|top|bottom|upper|lower)(?: one)? of (?=(?:the|these|those) {_COUNT} )")
_COUNTED = re.compile(rf"^(?:the )?(?P<ordinal>{_ORDINAL}) ")
_ONE = re.compile(r"\b(?:ones?|those|that)\b")
_POSTFIX = re.compile(r" (?:in|with|wearing|holding|of|on|at|carrying|riding|without|made) ")


def parse(query: str) -> QuestionPlan:
    """The plan of a question. Never fails: any text gives a plan."""
    text = re.sub(r"[^\w\s',-]", " ", query.lower())
    text = re.sub(r"\b(left|right|top|bottom|upper|lower)[ -]most\b", r"\1most", text)
    text = re.sub(r"\bcenter\b", "centre", " ".join(text.split()))
    text = _wanted(text)
    text = CLAUSE.sub("", LEAD_IN.sub("", text) + " ").strip()
    text = _ONE_OF.sub(r"\1most of ", text)
    if _PLACE.fullmatch(f"in the {text.removeprefix('the ')}"):
        text = f"object in the {text.removeprefix('the ')}"
    return QuestionPlan(tuple(_target(part) for part in _split_union(text)))


def _wanted(text: str) -> str:
    """The noun phrase that a question is about: "all red balls" for "how many balls are red"."""
    if found := _HOW_MANY.match(text):
        text = f"all {found['what']}{found['where'] or ''}"
    text = _QUALITY.sub(lambda found: f"{found['quality']} {found['what']}", text)
    return _ANYTHING.sub("all objects ", text)


def _split_union(text: str) -> list[str]:
    """Split "the red car and the dog" into its parts. A part without a noun takes the noun of the next part."""
    if _EXCEPT.match(text) or re.search(r"\bbetween\b", text):
        return [text]
    parts = [part for part in re.split(r",? (?:and|or|as well as|plus) |, ", text) if part]
    if len(parts) < 2:
        return [text]
    bare = [" ".join(part.split()).removeprefix("the ") for part in parts[:-1]] + parts[-1:]
    if not is_plural(parts[-1].split()[-1]) and any(set(part.split()) <= COLOURS.keys() for part in bare):
        if parts[-1].startswith("the "):
            return [f"{part} {singular(parts[-1].split()[-1])}" for part in parts[:-1]] + parts[-1:]
        return [text]
    whole = list[str]()
    for part in reversed(parts):
        borrows = whole and all(word in _NON_NOUNS for word in part.split())
        lent = itertools.dropwhile(_NON_NOUNS.__contains__, whole[0].split()) if borrows else ()
        whole.insert(0, " ".join([part, *lent]))
    return whole


def _target(text: str) -> Target:
    """The target of one part of a question."""
    text = text.strip(" ,")
    if found := _EXCEPT.match(text):
        base = _target(found["all"])
        return replace(base, exceptions=(_exception(base.what, found["out"]),))
    if found := _MIDDLE.search(text):
        return replace(_target(_cut(text, found)), ranking=Ranking("middle"))
    if (found := _FURTHEST.search(text)) and found["side"]:
        return replace(_target(_cut(text, found)), ranking=Ranking(_SIDES[found["side"]]))
    if found := _PLACE.search(text):
        sides = tuple(_SIDES[word] for word in (found["first"], found["second"]) if word)
        base = _target(_cut(text, found))
        return replace(base, sides=sides + base.sides)
    if found := _NEAREST_FIRST.match(text):
        kind = "nearest" if found["kind"] in ("closest", "nearest") else "farthest"
        return _related(found["what"], kind, found["anchor"], _number((found["count"] or "").strip()) or 1)
    if found := _RELATION.match(text):
        kind = next(kind for kind in get_args(RelationKind) if found[kind])
        return _related(found["what"], kind, found["anchor"], None)
    return _ranked(text)


def _related(what: str, kind: RelationKind, anchor: str, count: int | None) -> Target:
    base = _target(what)
    parts = re.split(r" and ", anchor) if kind == "between" else [TAIL.sub("", anchor)]
    if kind == "near" and (base.number or not base.what.plural):
        kind = "nearest"
    relation = Relation(kind, tuple(_target(part) for part in parts), count or base.number or 1)
    return replace(base, relation=relation)


def _ranked(text: str) -> Target:
    """A noun phrase with a ranking: "second player from the left", "two largest balls"."""
    if found := _FROM.search(text):
        base = _noun(f"{_cut(text, found)} {found['what']}")
        return replace(base, ranking=Ranking(_SIDES[found["side"]], start=ORDINALS[found["ordinal"]]))
    if found := _RANKED.search(text):
        count = _number(found["before"] or found["after"] or "")
        start = ORDINALS[found["ordinal"]] if found["ordinal"] else 1
        base = _noun(_cut(text, found))
        number = base.number if base.what.plural and not _OF.search(text) else None
        return replace(base, ranking=Ranking(_AXES[found["axis"]], count or number or 1, start), number=None)
    if found := _COUNTED.match(text):
        return replace(_noun(text[found.end() :]), ranking=Ranking("left", start=ORDINALS[found["ordinal"]]))
    if found := _SIDED.match(text):
        return _sided(found) or _noun(text)
    return _noun(text)


def _sided(found: re.Match[str]) -> Target | None:
    """A side as an adjective: one object ("left player"), all in that half ("left players"), or a corner."""
    base = _noun(found["before"] + found["after"])
    if base.what.noun in OWN_SIDE:
        return None
    sides = tuple(_SIDES[word] for word in (found["first"], found["second"]) if word)
    if len(sides) == 1 and (base.number or not base.what.plural):
        return replace(base, ranking=Ranking(_SIDES[found["first"]], base.number or 1), number=None)
    return replace(base, sides=sides)


def _noun(text: str) -> Target:
    """A noun phrase without its determiner, with its head noun in the singular."""
    text = TAIL.sub("", " ".join(text.split())).strip(" ,")
    text = re.sub(r"^(?:(?:the|of) )+", "", text)
    found = _DETERMINER.match(text)
    everything = bool(found and found["all"])
    number = _number(found["number"] or "") if found else None
    rest = (text[found.end() :] if found else text) or "object"
    rest = re.sub(r"\b(?:thing|item)(s?)\b", r"object\1", rest).replace("everything", "objects")
    rest = re.sub(r"\bone(s?)$", r"object\1", rest)
    cut = _POSTFIX.search(f"{rest} ")
    front, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    words = front.split()
    head = words[-1] if words else "object"
    phrase = " ".join([*words[:-1], singular(head)]) + re.sub(r" (?:the|a|an) ", " ", tail)
    worn = _WORN.search(phrase)
    colours = tuple(COLOURS[word] for word in [*words[:-1], *(worn[1].split() if worn else ())] if word in COLOURS)
    plural = everything or is_plural(head) or (number or 1) > 1
    return Target(NounPhrase(phrase.strip(), singular(head), colours, plural), number=number)


def _exception(base: NounPhrase, text: str) -> Target:
    """The target of "except …": "one" stands for the noun before it, a colour alone for that noun in that colour."""
    text = re.sub(r"^(?:wearing|dressed in)\b", "in", text.strip())
    words = [word for word in text.split() if word not in ("the", "any", "all")]
    coloured = any(word in COLOURS for word in words)
    noun = base.bare if coloured else base.phrase
    if all(word in COLOURS or word in ("in", "or", "and") for word in words):
        text = f"{noun} {text}" if words and words[0] == "in" else f"{text} {noun}"
    elif _ONE.search(text):
        text = _ONE.sub(noun, text)
    elif set(words) <= {*_AXES, *NUMBERS, *ORDINALS}:
        text = f"{text} {noun}"
    target = _target(text)
    return replace(target, what=replace(target.what, plural=target.ranking is None))


def _number(word: str) -> int | None:
    if word.isdigit():
        return int(word)
    return NUMBERS.get(word)


def _cut(text: str, found: re.Match[str]) -> str:
    """The text without the matched clause."""
    return f"{text[: found.start()]} {text[found.end() :]}".strip(" ,")
