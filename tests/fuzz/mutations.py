"""Damage: JSON values with a part replaced or lost, and bytes with pieces cut out and put in."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

GONE = object()
"""Stands for "this key or item is deleted"."""

NASTY: list[Any] = [
    None, True, False, -1, 0, 1, 2, 0.5, -0.0, 1e308, 10**9, 2**31, 2**63, 10**30, int("9" * 400),
    float("nan"), float("inf"), "", " ", "1", "0/0", "x" * 5000, "\x1b[31mred\x07", "a\0b", "\ud800", "\u202eabc",
    "../../../etc/passwd", "/etc/passwd", "/dev/zero", "C:\\x\\y", "file:///etc/passwd", "\n\n", "é" * 300,
    [], [[]], {}, {"": None}, [None], [[[[[]]]]], {"a": {"a": {}}}, ["x"] * 50, [0] * 50,
    {"size": [10**9, 10**9], "counts": "0"}, {"size": [4, 4], "counts": "zz~~"}, {"size": [4, 4], "counts": [10**12]},
]  # fmt: skip
"""Values of which each has once been too much for a reader of files."""

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4))
NEW = st.sampled_from([*NASTY, GONE, GONE, GONE]) | VALUES

PIECES = st.binary(max_size=8) | st.sampled_from(
    [
        b"\0", b"\xff\xfe", b"\xff" * 8, b"\x7f\xff\xff\xff", b'"', b"{", b"}", b"[" * 300, b"[" * 20_000, b"\\ud800",
        "\u202e".encode(), b"1e999", b"9" * 5000, b"-", b"null", b"'", b"<", b"\n", b",", b"../", b"\x1b[2J",
    ]
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a JSON value."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with one part replaced, or without it if `new` is `GONE`."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


@st.composite
def damaged_json(draw: st.DrawFn, whole: Any, most: int = 3) -> Any:
    """A JSON value with one to `most` of its parts replaced or lost."""
    for _ in range(draw(st.integers(1, most))):
        if not (ways := list(places(whole))):
            break
        whole = changed(whole, draw(st.sampled_from(ways)), draw(NEW))
    return whole


@st.composite
def damaged_bytes(draw: st.DrawFn, whole: bytes, within: int | None = None, most: int = 4) -> bytes:
    """Bytes with pieces cut out, put in or written over, in the first `within` of them, and sometimes cut short."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, min(len(data), within or len(data))))
        piece = draw(PIECES)
        data[at : at + draw(st.integers(0, 8) | st.just(len(piece)))] = piece
    if draw(st.integers(0, 4)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)
