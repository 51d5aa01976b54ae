"""Words from outside cannot steer a terminal, reverse text or fail to encode."""

import json
import logging

import pytest

from sam3model.printable import PrintableFormatter, one_line, printable, printable_json

UNSAFE = [
    "\x1b[31m",
    "\x9b31m",
    "\x07",
    "\x00",
    "\x7f",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200f",
    "\u2028",
    "\ud800",
    "\ufeff",
]


@pytest.mark.parametrize("text", UNSAFE)
def test_unsafe_characters_become_escapes(text: str) -> None:
    shown = printable(f"a{text}b")
    assert shown.isprintable() and shown[0] == "a" and shown[-1] == "b" and "\\" in shown
    shown.encode()


@pytest.mark.parametrize("text", UNSAFE)
def test_json_reads_back_as_it_was(text: str) -> None:
    for ascii_only in (False, True):
        shown = printable_json({text: [text, "é"]}, ascii_only=ascii_only)
        shown.encode("ascii" if ascii_only else "utf-8")
        assert shown.isprintable() and json.loads(shown) == {text: [text, "é"]}


def test_ordinary_words_are_kept() -> None:
    text = "der Spieler\tlinks\nle café, игрок, 球员, لاعب, 👩\u200d🚒"
    assert printable(text) == text
    assert one_line("a\nb\x85c \x1b d") == "a b c \\x1b d"


def test_log_records_are_made_safe() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "no file %s", ("\x1b]0;title\x07",), None)
    assert PrintableFormatter("%(message)s").format(record) == "no file \\x1b]0;title\\x07"
