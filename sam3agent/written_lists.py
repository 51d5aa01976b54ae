"""Lists as people type them: phrases and names of formats, in several flags or separated by commas."""

import re
from collections.abc import Collection, Sequence

from sam3model.errors import InputError


def split_phrases(phrases: Sequence[str]) -> tuple[str, ...]:
    """The phrases, each once, where one with commas names several: "player, ball" is "player" and "ball".

    Raises `InputError` for a phrase of commas alone.
    """
    for phrase in phrases:
        if not re.sub(r"[,;\s]", "", phrase):
            raise InputError(f"a phrase is empty ({phrase!r}): give a short noun phrase, e.g. 'red ball'")
    parts = (" ".join(part.split()) for phrase in phrases for part in re.split(r"[,;]", phrase))
    return tuple(dict.fromkeys(part for part in parts if part))


def split_formats(names: Sequence[str], known: Collection[str], always: str) -> tuple[str, ...]:
    """The names of formats, each once. always: the file that is written in any case, for the message.

    Raises `InputError` for an unknown one.
    """
    split = [part.strip().lower() for name in names for part in name.split(",") if part.strip()]
    for name in split:
        if name not in known:
            listed = ", ".join(known)
            raise InputError(f"--format {name} is not known: the formats are {listed} ({always} is always written)")
    return tuple(dict.fromkeys(split))
