"""What an answer of the rules does not take into account, in sentences: an open reading, or an unknown word."""

from collections.abc import Iterable, Sequence

from sam3agent.knowledge import WeightsKnowledge
from sam3agent.pool import Candidate
from sam3agent.rules.lexicon import CLOTHES
from sam3agent.rules.question_plan import PLACE_OF, SAID_OF, NounPhrase, QuestionPlan
from sam3agent.rules.selector import Choice, left_out
from sam3agent.rules.spelling import misspelt
from sam3agent.rules.words import COLOURS
from sam3agent.tools.arguments import MAX_PHRASE

SURE_SCORE = 0.6
"""Masks of lower scores are warned about. With sam3-tiny, 29 % of the wrong answers have one, and 4 % of the right ones
(`python -m evals playground-phrasings --weights tiny`)."""

DOUBTFUL = "close to the threshold"

NAME_AN_MLLM = "ask in other words, or name an MLLM with --base-url and --model"


def objection(plan: QuestionPlan) -> str:
    """Why a question is not answered, with what to do; empty if it can be."""
    if plan.objection:
        return f"{plan.objection}; {NAME_AN_MLLM}"
    for what in plan.phrases():
        if len(what.phrase) > MAX_PHRASE:
            return f'"{what.phrase[:30]}…" is too long to search for: ask in fewer words'
        for word in what.phrase.split():
            if meant := misspelt(word):
                return f'"{word}" is not a word that the built-in rules know: did you mean "{meant}"?'
    return ""


def open_attachment(plan: QuestionPlan) -> str:
    """The note on words that could be said of another thing of the question: then "no match" is no finding."""
    return next((note for note in plan.notes if SAID_OF in note or note.startswith(PLACE_OF)), "")


def unknown_noun(phrases: Iterable[NounPhrase], knowledge: WeightsKnowledge) -> str:
    """Why an empty search proves nothing: its noun is not a word of the weights. Empty if the nouns are known."""
    for what in phrases:
        unknown = knowledge.unknown(what.noun)
        if unknown:
            near = knowledge.suggestion(what.noun.split()[-1])
            hint = f'did you mean "{near}"?' if near else f"they know {_listed(knowledge.kinds)}"
            return f'the weights were not trained on the word "{unknown[0]}", so finding nothing proves nothing: {hint}'
    return ""


def word_warnings(
    phrases: Iterable[NounPhrase], knowledge: WeightsKnowledge, empty: Sequence[NounPhrase] = ()
) -> list[str]:
    """Words and attributes of the phrases that the weights were not trained on. empty: the phrases with no masks."""
    if not knowledge.kinds:
        return []
    found = []
    for what in phrases:
        so = "so finding nothing proves nothing" if what in empty else "which may have been ignored"
        words = [word for word in knowledge.unknown(what.phrase) if word not in CLOTHES]
        if words:
            found.append(f'the weights were not trained on "{" ".join(words)}", {so}')
        elif extra := _extra(what):
            found.append(f'the weights were not trained on phrases with "{extra}", {so}')
    return found


def _extra(what: NounPhrase) -> str:
    """Words after the noun that are not the colour of clothes."""
    words = what.phrase.split()
    after = words[words.index(what.noun) + 1 :] if what.noun in words else []
    plain = not after or (
        after[0] in ("in", "wearing") and all(w in COLOURS or w == "and" or w in CLOTHES for w in after[1:])
    )
    return "" if plain else " ".join(after)


def score_warnings(selected: Iterable[Candidate]) -> list[str]:
    """The masks of an answer that are worth a look, because their scores are low."""
    low = sorted((one for one in selected if one.score < SURE_SCORE), key=lambda one: one.score)
    if not low:
        return []
    worst = f"mask {low[0].id} has a score of {low[0].score:.2f}"
    if len(low) == 1:
        return [f"{worst}, {DOUBTFUL}: look at it"]
    return [f"{len(low)} masks have scores {DOUBTFUL} ({worst}): look at them"]


def choice_warnings(plan: QuestionPlan, choices: Sequence[Choice]) -> list[str]:
    """What the choices leave open: several for one, another number, parts that are missing."""
    found = list(plan.notes)
    answered = any(choice.kept for choice in choices)
    for choice in choices:
        if answered and not choice.kept:
            found.append(
                f'no match for "{choice.target.what.phrase}", so that part of the question is not in the answer'
            )
        elif answered:
            found += _open(choice)
        else:
            found += [warning for anchor in choice.anchors for warning in loose_anchor(anchor)]
    return found


def _open(choice: Choice) -> list[str]:
    target, kept, phrase = choice.target, len(choice.kept), choice.target.what.phrase
    found = []
    if target.single and not choice.ranking:
        several = len(choice.eligible) if target.relation else kept
        if target.relation and target.relation.kind in ("nearest", "farthest"):
            several = 1
        if several > 1:
            given = "all are given" if kept > 1 else "the best is given"
            found.append(f'the question names one "{phrase}" and {several} match: {given}')
    if target.ranking and choice.ranking and target.ranking.count > len(choice.chosen):
        found.append(f'the question names {target.ranking.count} of "{phrase}" and there are {len(choice.chosen)}')
    left = len(choice.related)
    if target.exclude_first:
        left -= len({one for exception in choice.exceptions for one in _left_out(choice, exception)})
    if target.number and not target.relation and left != target.number:
        found.append(f'the question names {target.number} of "{phrase}" and {max(left, 0)} match')
    if choice.ranking and not target.ranking:
        found.append(f'several "{phrase}" matches are there: one of them is given')
    for anchor in choice.anchors:
        found += loose_anchor(anchor)
    for exception in choice.exceptions:
        found += _loose_exception(choice, exception)
    return found


def loose_anchor(anchor: Choice) -> list[str]:
    """What the object that a place or relation refers to leaves open: several for one, or another number."""
    phrase, several = anchor.target.what.phrase, len(anchor.kept)
    found = [warning for inner in anchor.anchors for warning in loose_anchor(inner)]
    if anchor.target.number and len(anchor.related) != anchor.target.number:
        found.append(f'the question refers to {anchor.target.number} of "{phrase}" and {len(anchor.related)} match')
    if not anchor.target.what.plural and several > 1:
        found.append(f'the question refers to one "{phrase}" and {several} match: the one with the best score was used')
    return found


def _loose_exception(choice: Choice, exception: Choice) -> list[str]:
    phrase = exception.target.what.phrase
    if not exception.kept:
        return [f'nothing matches "{phrase}", so nothing was left out for it']
    if not _left_out(choice, exception):
        return [f'leaving out "{phrase}" changed nothing']
    if exception.target.single and len(exception.kept) > 1:
        return [f'the question leaves out one "{phrase}" and {len(exception.kept)} match: all were left out']
    return []


def _left_out(choice: Choice, exception: Choice) -> set[int]:
    return left_out(choice.related, choice.target.what, exception.kept, exception.target.what)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:12])} and {len(names) - 12} more" if len(names) > 12 else ", ".join(names)
