"""Text from outside, as one line of a terminal or as the name of a folder."""

import hashlib
import re

MAX_CHARACTERS = 1000


def one_line(text: object) -> str:
    """Printable text on one line: control characters and bidirectional marks become spaces; long text is cut.

    >>> one_line("a\\x1b[2J b\\n\\u202ec")
    'a [2J b c'
    """
    shown = "".join(character if character.isprintable() else " " for character in str(text)[: 4 * MAX_CHARACTERS])
    line = " ".join(shown.split())
    return line if len(line) <= MAX_CHARACTERS else line[:MAX_CHARACTERS] + "…"


def slug(key: str, *, unique: bool = True) -> str:
    """A folder name for a key, unique per key unless told otherwise."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip(".-")[:80]
    if plain == key or not unique:
        return plain or "unnamed"
    return f"{plain}-{hashlib.blake2b(key.encode(errors='replace'), digest_size=4).hexdigest()}"
