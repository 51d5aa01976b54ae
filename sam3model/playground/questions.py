"""Questions about a scene with exact answers: position, order, size, nearness, occlusion, exclusion, union, no match.

NP is a noun phrase from `phrases`: `[small|large] [colour] [striped|dotted] noun` (colour and pattern in either order),
or `player in COLOUR`, `COLOUR player`, `player wearing COLOUR` (NPs: its plural). X is an NP that matches exactly one
object. SIDE is left, right, top or bottom; ORDINAL is first to fifth; NUMBER is two or three. "the" is optional.

Positions are the centres of the boxes of visible masks; sizes are visible areas; distances are between box centres in
pixels. Comparisons need a margin (`relations`), so that answers are not ambiguous. A is behind B if B hides a part
of A; the bottom of A's visible box is then also higher than that of B.
"""

from dataclasses import dataclass

from sam3model.playground.dice import Dice
from sam3model.playground.phrases import descriptions
from sam3model.playground.question_forms import ANSWERABLE_FORMS, QuestionContext
from sam3model.playground.scene import Scene
from sam3model.playground.unanswerable_forms import UNANSWERABLE_FORMS

TEMPLATES: dict[str, tuple[str, ...]] = {
    "plain": ("NP", "the NP", "all NPs", "every NP"),
    "extreme": (
        "leftmost NP", "the leftmost NP", "the rightmost NP", "the topmost NP", "the bottommost NP",
        "the NP furthest to the left", "the NP furthest to the right",
    ),
    "extreme_group": ("the NUMBER leftmost NPs", "the NUMBER rightmost NPs"),
    "size": ("the largest NP", "the biggest NP", "the smallest NP"),
    "size_group": ("the NUMBER largest NPs", "the NUMBER smallest NPs"),
    "ordinal": ("ORDINAL NP from the left", "the ORDINAL NP from the left", "the ORDINAL NP from the right"),
    "half": (
        "all NPs on the left side", "all NPs on the right side", "all NPs in the SIDE half of the picture",
        "the NPs in the SIDE half of the picture",
    ),
    "except_colour": (
        "every NOUN except the COLOUR one", "all NOUNS except the COLOUR ones", "all NOUNS that are not COLOUR",
        "every player except the one in COLOUR", "all players except the ones in COLOUR",
        "all players that are not in COLOUR",
    ),
    "except_extreme": ("all NPs except the leftmost one", "every NP but the rightmost one"),
    "behind": ("the NP behind the X",),
    "front": ("the NP in front of the X",),
    "nearest": ("the NP closest to the X", "the NP nearest to the X"),
    "farthest": ("the NP farthest from the X",),
    "relation": (
        "all NPs to the left of the X", "all NPs to the right of the X", "all NPs above the X", "all NPs below the X",
    ),
    "union": ("the X and the X", "all NPs and the X", "all NPs and all NPs"),
    "none:colour": ("the NP / all NPs, or an extreme, size or half question, with a colour that no such NOUN has",),
    "none:noun": ("the same with a NOUN that is not there",),
    "none:ordinal": ("the ORDINAL NP from the left, with fewer NPs than that",),
    "none:half": ("a half question with none there",),
    "none:anchor": ("the NP closest to / nearest to / farthest from / behind / in front of the X, with no X",),
    "none:behind": ("a behind, front or relation question with no NP there",),
}  # fmt: skip
"""All forms of questions by kind; kinds that begin with `none:` have no match."""

UNANSWERABLE = 0.2
ATTEMPTS = 60


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the ids of the objects that answer it (empty: no match), and its kind in `TEMPLATES`.

    evidence: first and last frame of a clip that prove the answer; None in scenes, and where there is no match.
    """

    text: str
    ids: tuple[int, ...]
    kind: str
    evidence: tuple[int, int] | None = None


def questions(scene: Scene, count: int = 5) -> list[Question]:
    """Up to `count` different questions, about a fifth of them without a match; always the same ones for a scene."""
    groups = [(d, [obj for obj in scene.objects if d.matches(obj)]) for d in descriptions(scene)]
    found: dict[str, Question] = {}
    for attempt in range(ATTEMPTS):
        if len(found) == count:
            break
        dice = Dice(*scene.name, "questions", len(found), attempt)
        unanswerable = Dice(*scene.name, "answerable", len(found)).chance(UNANSWERABLE)
        ctx = QuestionContext(scene, groups, dice)
        question = _unanswerable(ctx) if unanswerable else _answerable(ctx)
        if question and question.text not in found:
            found[question.text] = question
    return list(found.values())


def _answerable(ctx: QuestionContext) -> Question | None:
    kind = ctx.dice.pick(tuple(ANSWERABLE_FORMS))
    found = ANSWERABLE_FORMS[kind](ctx)
    return Question(*found, kind) if found else None


def _unanswerable(ctx: QuestionContext) -> Question | None:
    kind = ctx.dice.pick(tuple(UNANSWERABLE_FORMS))
    text = UNANSWERABLE_FORMS[kind](ctx)
    return Question(text, (), kind) if text else None
