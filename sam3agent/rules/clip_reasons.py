"""Why a plan chose its masklets: `the only "player" match that leaves the picture (frames 3 to 9)`, or why none."""

from collections.abc import Sequence

from sam3agent.rules.clip_selector import MEASURES, ClipChoice
from sam3agent.rules.question_plan import Happening, When
from sam3agent.rules.reasons import explain
from sam3agent.rules.words import ORDINALS

_ORDINAL_WORDS = {number: word for word, number in reversed(ORDINALS.items())}


def explain_clip(choices: Sequence[ClipChoice]) -> str:
    """The reason for an answer, or for no match."""
    chosen = [_described(choice) for choice in choices if choice.kept]
    failed = [_why_none(choice) for choice in choices if not choice.kept]
    return "; ".join(dict.fromkeys([*chosen, *failed]))


def open_readings(choices: Sequence[ClipChoice]) -> list[str]:
    """What the choices leave open: several for one, another number, parts that are missing."""
    found = []
    answered = any(choice.kept for choice in choices)
    for choice in choices if answered else ():
        target, count, phrase = choice.target, len(choice.kept), choice.target.what.phrase
        if not choice.kept:
            found.append(f'no match for "{phrase}", so that part of the question is not in the answer')
        elif target.single and count > 1:
            found.append(f'the question names one "{phrase}" and {count} match: all are given')
        elif target.number and count != target.number:
            found.append(f'the question names {target.number} of "{phrase}" and {count} match')
        for happening in target.happenings if choice.kept else ():
            if happening.count > count and (happening.order or happening.name in MEASURES):
                found.append(f'the question names {happening.count} of "{phrase}" and there {_are(count)}')
        for exception in choice.exceptions:
            if not exception.kept:
                found.append(f"{_why_none(exception)}; nothing was left out for it")
            elif exception.target.single and len(exception.kept) > 1:
                several, what = len(exception.kept), exception.target.what.phrase
                found.append(f'the question leaves out one "{what}" and {several} match: all were left out')
    return found


def _described(choice: ClipChoice) -> str:
    number, total = len(choice.kept), len(choice.found)
    count = {1: "the only", 2: "both"}.get(total, f"all {total}") if number == total else f"{number} of {total}"
    noun = f'"{choice.target.what.phrase}" match{"es" if total != 1 else ""}'
    told = " and ".join(_words(happening) for happening in choice.target.happenings)
    if choice.placed is not None:
        head = explain([choice.placed])
        return f"{head} on frame {choice.frame}" + (f", {told}" if told else "")
    left_out = "".join(f", without {len(one.kept)} {_rest(one)}" for one in choice.exceptions if one.kept)
    proof = f" ({choice.proof.words()})" if choice.proof and told else ""
    return f"{count} {noun}" + (f", {told}" if told else "") + proof + left_out


def _are(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {count}"


def _rest(choice: ClipChoice) -> str:
    told = " and ".join(_words(happening) for happening in choice.target.happenings)
    return told or f'"{choice.target.what.phrase}"'


def _words(happening: Happening) -> str:
    """What an object does, as the question says it."""
    if happening.name == "present":
        return f"{'gone' if happening.negated else 'there'} {_time(happening.when)}"
    if happening.name == "outermost":
        return f"{happening.words} {_time(happening.when)}"
    order = f"{_ORDINAL_WORDS[happening.order]} " if happening.order in _ORDINAL_WORDS else ""
    if happening.name in MEASURES or happening.name == "approaches":
        order = "" if happening.order == 1 else order
    elif order:
        order += "to: "
    anchors = "".join(f' "{anchor.what.phrase}"' for anchor in happening.anchors)
    side = f" at the {happening.side}" if happening.side else ""
    compared = ""
    if happening.compared:
        word, other = happening.compared
        compared = f' {word} "{other.what.phrase}" {" and ".join(_words(one) for one in other.happenings)}'
    return f"{order}{happening.words}{anchors}{side}{compared}"


def _time(when: When | None) -> str:
    if when is None:
        return "at the end"
    return {"start": "at the start", "end": "at the end"}.get(when.kind, f"at {when.kind} {when.value:g}")


def _why_none(choice: ClipChoice) -> str:
    """Why a choice is empty: the first step that left nothing."""
    phrase = choice.target.what.phrase
    if not choice.found:
        return f'nothing found for "{phrase}"'
    if choice.missing:
        return f'nothing found for "{choice.missing}", which the question refers to'
    told = " and ".join(_words(happening) for happening in choice.target.happenings)
    several = f'none of {len(choice.found)} "{phrase}" matches' if len(choice.found) > 1 else f'not so for "{phrase}"'
    if not choice.doing:
        return f"{several}: {told}"
    if choice.placed is not None:
        return f"{explain([choice.placed])} on frame {choice.frame}"
    return f'nothing left of "{phrase}" after what the question leaves out'
