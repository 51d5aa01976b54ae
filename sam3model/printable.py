"""Words from outside, made safe to print: file names, replies of models, errors of servers, traces and data sets.

What could steer a terminal, reverse the direction of text or fail to encode is written as an escape, e.g. `\\x1b`.
"""

import json
import logging
import os
import re
import sys
from typing import Any

CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
"""Control characters except tab and line feed, line separators and surrogates, for the brackets of a pattern."""

INVISIBLE = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
"""Characters that are not seen, some of which reverse the direction of text, for the brackets of a pattern."""

_UNSAFE = re.compile(f"[{CONTROL}{INVISIBLE}]")


def printable(text: object) -> str:
    """The text with unsafe characters as escapes; tabs and newlines are kept."""
    return _UNSAFE.sub(lambda found: _escape(found[0]), str(text))


def one_line(text: object) -> str:
    """The text on one line: white space as single spaces, unsafe characters as escapes."""
    return printable(" ".join(str(text).split()))


def short_line(text: object, limit: int) -> str:
    """The text as `one_line`; one of more than `limit` characters has an ellipsis for its middle.

    >>> short_line("a very\\nlong name.json", 14)
    'a very …e.json'
    """
    bounded = _without_middle(str(text), 4 * limit)  # a huge text is not escaped whole
    return _without_middle(one_line(bounded), limit)


def _without_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    end = (limit - 1) // 2
    return f"{text[: limit - 1 - end]}…{text[-end:]}"


def printable_json(value: Any, *, ascii_only: bool = False) -> str:
    """JSON on one line. Unsafe characters are JSON escapes, so a reader gets the same text back.

    ascii_only: also escape everything that is not ASCII, for streams that cannot encode it.
    """
    text = json.dumps(value, ensure_ascii=ascii_only)
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


class PrintableFormatter(logging.Formatter):
    """Log records with unsafe characters as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """The message of a record."""
        return printable(super().format(record))


def prepare_streams() -> None:
    """Let standard output and error escape what their encoding lacks, instead of raising `UnicodeEncodeError`.

    One that was closed by the caller (`>&-`) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 (it lives as long as the program)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
