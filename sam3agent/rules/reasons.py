"""Why a plan chose its masks, in a phrase such as `leftmost of 4 "player in white" matches`, or why it chose none."""

from collections.abc import Sequence
from typing import Literal

from sam3agent.rules.question_plan import Axis, Ranking, RelationKind, Side
from sam3agent.rules.selector import Choice, anchors_of
from sam3agent.rules.words import ORDINALS

Role = Literal["answer", "anchor", "exception"]
"""What is described: the answer, an anchor that it is compared with, or an exception."""

_SUPERLATIVES: dict[Axis, str] = {
    "left": "leftmost", "right": "rightmost", "top": "topmost", "bottom": "bottommost", "large": "largest",
    "small": "smallest", "tall": "tallest", "short": "shortest", "wide": "widest", "narrow": "narrowest",
    "middle": "most central",
}  # fmt: skip
_RELATIONS: dict[RelationKind, str] = {
    "behind": "behind", "front": "in front of", "nearest": "closest to", "near": "near", "farthest": "farthest from",
    "left": "to the left of", "right": "to the right of", "above": "above", "below": "below", "on": "on",
    "between": "between", "larger": "larger than", "smaller": "smaller than", "taller": "taller than",
    "shorter": "shorter than", "wider": "wider than", "narrower": "narrower than",
}  # fmt: skip
_ORDINAL_WORDS = {number: word for word, number in reversed(ORDINALS.items())}


def explain(choices: Sequence[Choice]) -> str:
    """The reason for an answer, or for no match."""
    chosen = list(dict.fromkeys(_describe(choice) for choice in choices if choice.kept))
    failed = dict.fromkeys(_why_none(choice) for choice in choices if not choice.kept)
    listed = f"{', '.join(chosen[:-1])} and {chosen[-1]}" if len(chosen) > 1 else "".join(chosen)
    return "; ".join(filter(None, [listed, *failed]))


def _describe(choice: Choice, role: Role = "answer") -> str:
    """A choice, with the number of matches that it was made from: `leftmost of 4 "player" matches in the top half`."""
    relation, total, adjective = choice.target.relation, len(choice.related), ""
    if choice.ranking and len(choice.chosen) < total:
        head = _picked(_position(choice.ranking, len(choice.chosen)), choice, total, role)
    elif total < len(choice.eligible):
        adjective = {"nearest": "closest", "farthest": "farthest"}.get(relation.kind if relation else "", "best")
        head, total = _picked(adjective + _several(total), choice, len(choice.eligible), role), len(choice.eligible)
    elif len(choice.chosen) < total:
        head = _picked("best" + _several(len(choice.chosen)), choice, total, role)
    else:
        head = _all(total, choice, role)
    return f"{head} {_matches(choice, total)}{_place(choice.target.sides)}{_link(choice, adjective)}{_except(choice)}"


def _why_none(choice: Choice) -> str:
    """Why a choice is empty: the first step that left nothing."""
    target, none = choice.target, next((anchor for anchor in choice.anchors if not anchor.kept), None)
    if not choice.found:
        return f'nothing found for "{target.what.phrase}"'
    if not choice.placed:
        return _none_is(choice, len(choice.found), _place(target.sides))
    if none:
        return _why_none(none)
    if not choice.eligible:
        anchors = {c.id for anchor in choice.anchors for c in anchors_of(anchor)}
        if anchors.issuperset(c.id for c in choice.placed):
            return f'no other "{target.what.phrase}" match to compare with {_anchors(choice)}'
        return _none_is(choice, len(choice.placed), _link(choice))
    if not choice.chosen and choice.ranking:
        group = f"{len(choice.related)} {_matches(choice, len(choice.related))}{_place(target.sides)}{_link(choice)}"
        return f"only {group}, so no {_position(choice.ranking, 1)}"
    return f"nothing left after leaving out {' and '.join(_exceptions(choice))}"


def _none_is(choice: Choice, count: int, where: str) -> str:
    if count == 1:
        return f"the only {_matches(choice, 1)} is not{where}"
    return f"none of {count} {_matches(choice, count)} is{where}"


def _matches(choice: Choice, count: int) -> str:
    return f'"{choice.target.what.phrase}" match{"es" if count != 1 else ""}'


def _picked(position: str, choice: Choice, total: int, role: Role) -> str:
    """`leftmost of 4`, with the article that the role needs."""
    several = min(len(choice.chosen), len(choice.related)) > 1
    article = {"answer": "", "exception": "the ", "anchor": "one of the " if several else "the "}[role]
    return f"{article}{position} of {total}"


def _all(count: int, choice: Choice, role: Role) -> str:
    """The words for all matches: `the only`, `both`, `all 3`; `the best of 3` if only one of them serves as anchor."""
    nearest = choice.target.relation is not None and choice.target.relation.kind in ("nearest", "farthest")
    if role == "answer" and not nearest:
        return {1: "the only", 2: "both"}.get(count, f"all {count}")
    if count == 1:
        return "the"
    if role != "anchor":
        return f"the {count}"
    return f"one of {count}" if choice.target.what.plural else f"the best of {count}"


def _position(ranking: Ranking, count: int) -> str:
    """`leftmost`, `second from the left`, `second largest`, `largest 3`."""
    superlative = _SUPERLATIVES[ranking.axis]
    if ranking.start == 1:
        return superlative + _several(count)
    ordinal = _ORDINAL_WORDS[ranking.start]
    side = ranking.axis in ("left", "right", "top", "bottom")
    position = f"{ordinal} from the {ranking.axis}" if side else f"{ordinal} {superlative}"
    return f"{count} starting with the {position}" if count > 1 else position


def _several(count: int) -> str:
    return f" {count}" if count > 1 else ""


def _place(sides: Sequence[Side]) -> str:
    """` in the left half` or ` in the top left quarter`."""
    if not sides:
        return ""
    ordered = sorted(dict.fromkeys(sides), key=("top", "bottom", "left", "right").index)
    return f" in the {' '.join(ordered)} {'half' if len(ordered) == 1 else 'quarter'}"


def _link(choice: Choice, adjective: str = "") -> str:
    """The relation to the anchors, without an adjective that was used before."""
    if choice.target.relation is None:
        return ""
    return f" {_RELATIONS[choice.target.relation.kind].removeprefix(f'{adjective} ')} {_anchors(choice)}"


def _anchors(choice: Choice) -> str:
    between_them = choice.target.relation and choice.target.relation.kind == "between" and len(choice.anchors) == 1
    return " and ".join(_describe(anchor, "exception" if between_them else "anchor") for anchor in choice.anchors)


def _except(choice: Choice) -> str:
    """What was left out, or why nothing was."""
    left_out = " and ".join(_exceptions(choice))
    failed = [_why_none(exception) for exception in choice.exceptions if not exception.kept]
    return (f" except {left_out}" if left_out else "") + "".join(f" (nothing to leave out: {why})" for why in failed)


def _exceptions(choice: Choice) -> list[str]:
    """The exceptions; one of the very matches that the choice was made from does not repeat them."""
    described = [_describe(exception, "exception") for exception in choice.exceptions if exception.kept]
    return [text.removesuffix(f" of {len(choice.chosen)} {_matches(choice, len(choice.chosen))}") for text in described]
