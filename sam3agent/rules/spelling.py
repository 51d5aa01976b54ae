"""Slips in the words that the grammar reads: "leftmots" for "leftmost"."""

from functools import cache

from sam3agent.rules.lexicon import AXES, EXCEPT, GENERIC, RELATIONS, SIDES, words
from sam3agent.rules.words import COLOURS, NUMBERS, ORDINALS

_WORDS_NOT_SLIPS = words(
    """closet fist font udder block back while write lift loft forth thirst abode tower lower slower button greet
    queen blown fellow muddle seconds things bottle battle mottle cotton middy rite thin think item sight night
    tight light fight knight eight might bright fright height weight sleigh neigh behave below beyond unders
    thunder hover clover rover mover oven overs near neat nextel most mostly largo hidden whole whale orage
    violent violets scarred nave greed greens bluer thread threw free tree trees tow won ton sox fiver seen even
    eighth tent then fir first thirdly pine pinks gold gray grays brow brows"""
)
"""Words that look like a slip and are none."""


@cache
def _known() -> tuple[str, ...]:
    known = {*AXES, *SIDES, *ORDINALS, *COLOURS, *NUMBERS, *GENERIC, *EXCEPT}
    known |= {word for _, phrases in RELATIONS for phrase in phrases for word in phrase.split()}
    known |= {"the", "all", "every", "which", "half", "picture", "image", "wearing", "striped", "dotted", "how", "many"}
    return tuple(sorted(word for word in known if " " not in word and word.isalpha()))


@cache
def misspelt(word: str) -> str:
    """The word of the grammar that this one is a slip of; empty if it is none."""
    if word in _known() or word in _WORDS_NOT_SLIPS or len(word) < 3 or word.endswith("'s"):
        return ""
    return next((known for known in _known() if len(known) > 2 and _is_slip(word, known)), "")


def _is_slip(word: str, known: str) -> bool:
    """Whether two letters are swapped, or one letter behind the first of a longer word is wrong, missing or extra."""
    if len(word) == len(known):
        wrong = [i for i, (a, b) in enumerate(zip(word, known, strict=True)) if a != b]
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        if swapped and word[wrong[0]] == known[wrong[1]] and word[wrong[1]] == known[wrong[0]]:
            return True
        return len(wrong) == 1 and wrong[0] > 0 and len(known) > 5
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    if len(longer) - len(shorter) != 1 or len(known) < 5 or word in (f"{known}s", f"{known}r"):
        return False
    return word[0] == known[0] and any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))
