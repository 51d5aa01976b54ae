"""Text and JSON from outside: any bytes become a clean, bounded value or a `ValueError`."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3model.untrusted import MAX_DEPTH, clean_line, clean_text, read_json, read_literal


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def test_control_characters_bidirectional_marks_and_surrogates_are_removed() -> None:
    assert clean_text("a\x1b[31m\x00b\u202ec\u2066\ud800d\r\ne\tf") == "a [31m bc d\ne\tf"
    assert clean_line("a\nb\u2028c   d", 5) == "a b c"
    assert clean_text("naïve 木 👩‍🚀") == "naïve 木 👩‍🚀"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "\\ud800"}', {"a": " "}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (f'{{"a": {"9" * 5000}, "b": 1e999, "c": NaN}}', {"a": None, "b": None, "c": None}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_json_is_read_clean(text: str | bytes, value: object) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 500 + "1" + "}" * 500, "{", "", "[1] 2"])
def test_what_is_not_bounded_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)


def test_the_maximum_depth() -> None:
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="deep"):
        read_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': [1, 2,], 'b': None, 'c': true}", {"a": [1, 2], "b": None, "c": True}),
        ("{a: -1.5}", {"a": -1.5}),
        ("('x', 'y')", ["x", "y"]),
        ('"\\u202ex"', "x"),
    ],
)
def test_literals_of_python_are_read(text: str, value: object) -> None:
    assert read_literal(text) == value


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 4000, "-" + "9" * 4000, "-" + "9" * 19])
def test_numbers_beyond_the_bounds_are_nothing_in_either_notation(number):
    assert read_literal(f"{{'a': {number}}}") == {"a": None}
    assert read_json(f'{{"a": {number}}}') == {"a": None}


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "f'{1}'",
        "[x for x in y]",
        "1 + 1",
        "{'a': open}",
        "{**a}",
        "b'x'",
        "9" * 30_000 + "+",
        "(" * 300,
    ],
)
def test_nothing_is_evaluated(text: str) -> None:
    with pytest.raises(ValueError):
        read_literal(text)


@pytest.mark.parametrize("text", ['{"ids": [1], "ids": [2]}', "{'ids': [1], 'ids': [2]}"])
def test_a_key_that_is_given_twice_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        read_literal(text)


@settings(deadline=None)
@given(st.binary() | st.text().map(lambda text: json.dumps({"a": text}).encode()))
def test_any_bytes_are_read_clean_or_refused(data: bytes) -> None:
    try:
        value = read_json(data)
    except ValueError:
        return
    json.dumps(value, ensure_ascii=False).encode()
    assert all(text == clean_text(text) for text in strings(value))
