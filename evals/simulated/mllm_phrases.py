"""The phrases that come to a simulated MLLM's mind."""

from collections.abc import Sequence

from evals.simulated.phrase_words import understand
from evals.simulated.plan_answer import describe
from evals.simulated.scene_questions import SceneQuestion
from sam3agent.rules.question_plan import Target
from sam3agent.rules.words import synonyms
from sam3model.playground.kinds import KINDS


def next_phrases(case: SceneQuestion, right: int, tried: Sequence[str], *, twice: bool = False) -> list[str]:
    """Right phrases that were not tried yet: one per target, more general with every search (`right` of them so far).

    The first search is also for what the question compares with. twice: a more general phrase is searched at once.
    """
    ladders = [_ladder(target) for target in case.plan.targets]
    anchors = [a for t in case.plan.targets for a in (t.relation.anchors if t.relation else ())]
    for step in range(right, right + 6):
        options = [ladder[min(step, len(ladder) - 1)] for ladder in ladders]
        if twice:
            wider = [ladder[min(step + 1, len(ladder) - 1)] for ladder in ladders]
            options += [phrase for phrase in wider if phrase != "object"]
        if step == 0:
            options += [_ladder(anchor)[0] for anchor in anchors]
        if fresh := [phrase for phrase in dict.fromkeys(options) if phrase not in tried]:
            return fresh[:8]
    return []


def wrong_phrase(case: SceneQuestion, dice: float, noun_dice: float, *, first: bool) -> str:
    """Over-specific: the question itself; where that is no more than a noun phrase, another noun."""
    text = case.text.lower()
    for word in ("the ", "all ", "every "):
        text = text.removeprefix(word)
    if understand(text)[1]:
        return text if dice < 0.6 or first else f"{text} here"
    kinds = [kind for kind in KINDS if kind != describe(case.plan.targets[0]).kind]
    return kinds[int(noun_dice * len(kinds))]


def _ladder(target: Target) -> list[str]:
    """Right phrases, the exact one first, then more general ones and synonyms."""
    what, noun = target.what.phrase, describe(target).kind
    others = [what.replace(target.what.noun, word, 1) for word in synonyms(target.what.noun)]
    known = [p for p in (*others, *synonyms(noun)) if understand(p)[0] and not understand(p)[1]]
    return list(dict.fromkeys([what, noun, *known, "object"]))
