"""Questions about what happens in a clip, with the objects that answer them.

Facts need a clear margin (`clip_facts`), so that a person who watches the clip gives the same answer. NP is a noun
phrase from `phrases`, X one that matches exactly one object. A question about "the NP that stops" has all such objects
as its answer; with several, it says "all", "every", "the two" or "the three".
"""

from dataclasses import replace

from sam3model.playground.clip import Clip
from sam3model.playground.clip_comparison_forms import COMPARISON_FORMS
from sam3model.playground.clip_contact_forms import CONTACT_FORMS
from sam3model.playground.clip_facts import TimeFacts
from sam3model.playground.clip_question_forms import CLIP_FORMS, ClipContext, ClipGroup
from sam3model.playground.clip_trails import ClipTrails, trails_of
from sam3model.playground.clip_unanswerable_forms import UNANSWERABLE_CLIP_FORMS
from sam3model.playground.dice import Dice
from sam3model.playground.phrases import descriptions
from sam3model.playground.questions import Question

UNANSWERABLE = 0.2
FEWEST_FRAMES = 3
"""In fewer, nothing can be said to move."""
ATTEMPTS = 10
"""Choices that are tried for each form."""
FORMS = CLIP_FORMS | COMPARISON_FORMS | CONTACT_FORMS
WEIGHTS = dict.fromkeys(CLIP_FORMS | CONTACT_FORMS, 2.5) | {"extreme_then": 0.4, "nearest_then": 0.4, "present": 0.6}
"""How much earlier a form is tried; events are rarer than places at the start and end, which need one frame only."""


def clip_questions(clip: Clip, count: int = 6) -> list[Question]:
    """Up to `count` different questions about time, about a fifth without an answer; always the same ones for a clip.

    `Question.evidence` is the range of frames that proves the answer, if there is one. No frame is rendered. Clips in
    which little happens have fewer questions, and those of one or two frames none.
    """
    return questions_of(trails_of(clip), count)


def questions_of(trails: ClipTrails, count: int = 6) -> list[Question]:
    """The questions of a clip from the trails of its objects."""
    found: dict[str, Question] = {}
    context = ClipContext(TimeFacts(trails), clip_groups(trails), Dice(), {})
    for number in range(count if context.groups and trails.count >= FEWEST_FRAMES else 0):
        dice = Dice(*trails.name, "clip questions", number)
        question = _ask(context, dice, list(found.values()), unanswerable=dice.chance(UNANSWERABLE))
        if question:
            found[question.text] = question
    return list(found.values())


def _ask(context: ClipContext, dice: Dice, known: list[Question], *, unanswerable: bool) -> Question | None:
    """A new question of the first form in random order that the clip allows; forms of known questions come last."""
    used = {question.kind for question in known}
    texts, answers = {question.text for question in known}, {(question.kind, question.ids) for question in known}
    forms = tuple(UNANSWERABLE_CLIP_FORMS if unanswerable else FORMS)
    order = {kind: (kind in used, dice.random() / WEIGHTS.get(kind, 1.0)) for kind in forms}
    for kind in sorted(forms, key=lambda kind: order[kind]):
        for attempt in range(ATTEMPTS):
            question = ask(replace(context, dice=dice.child(kind, attempt)), kind)
            if question and question.text not in texts and (not question.ids or (kind, question.ids) not in answers):
                return question
    return None


def clip_groups(trails: ClipTrails) -> tuple[ClipGroup, ...]:
    """The descriptions of the objects that are clearly seen."""
    return tuple(
        ClipGroup(description, tuple(trail for trail in trails.trails if description.matches(trail.obj)))
        for description in descriptions(trails)
        if not any(description.matches(obj) for obj in trails.unclear)
    )


def ask(context: ClipContext, kind: str) -> Question | None:
    """A question of a form; None if the clip does not allow it with these choices."""
    if kind in UNANSWERABLE_CLIP_FORMS:
        text = UNANSWERABLE_CLIP_FORMS[kind](context)
        return Question(text, (), kind) if text else None
    found = FORMS[kind](context)
    if not found:
        return None
    text, ids, proof = found
    return Question(text, tuple(sorted(ids)), kind, (proof.start, proof.end))
