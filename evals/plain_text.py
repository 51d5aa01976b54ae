"""Text from outside, as one line of a terminal or as the name of a folder."""

import hashlib
import re

from sam3model import printable

MAX_CHARACTERS = 1000


def short_line(text: object) -> str:
    """The text on one line of a terminal: unsafe characters as escapes, a long text without its middle.

    >>> short_line("a\\x1b[2J b\\n c")
    'a\\\\x1b[2J b c'
    """
    return printable.short_line(text, MAX_CHARACTERS)


def slug(key: str, *, unique: bool = True) -> str:
    """A folder name for a key, unique per key unless told otherwise."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip(".-")[:80]
    if plain == key or not unique:
        return plain or "unnamed"
    return f"{plain}-{hashlib.blake2b(key.encode(errors='replace'), digest_size=4).hexdigest()}"
