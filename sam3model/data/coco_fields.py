"""Fields of COCO rows as tools write them: numbers as floats or text, flags as text."""

import re
from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]

MAX_SIDE = 1 << 16
_MAX_NUMBER = 1e15
"""Coordinates and areas stay far below this; excludes infinity and integers too large for a float."""

_INTEGER = re.compile(r"(0|-?[1-9][0-9]{0,15})(?:\.0{1,9})?")
_IDENTIFIERS = ("id", "image_id", "category_id", "video_id")
_FLAGS = ("iscrowd",)
_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")
_FALSE = ("", "0", "0.0", "false", "no", "none", "null")


def normalised(row: Row) -> Row:
    """A row whose ids are integers where they mean integers (1.0, "1"), and whose flags are 0 or 1."""
    changes: dict[str, Any] = {}
    for name in _IDENTIFIERS:
        if name in row:
            changes[name] = identifier(row[name])
    for name in _FLAGS:
        if isinstance(row.get(name), str):
            changes[name] = int(row[name].strip().lower() not in _FALSE)
    for name in _LISTS:
        if isinstance(row.get(name), list):
            changes[name] = [identifier(value) for value in row[name]]
    changed = {name: value for name, value in changes.items() if value is not row[name]}
    return {**row, **changed} if changed else row


def identifier(value: Any) -> Any:
    """An id as an integer if it means one (1.0, "1", "1.0"), else the value itself; "007" stays a text.

    >>> identifier(3.0), identifier("12"), identifier("4.0"), identifier("007"), identifier(1.5)
    (3, 12, 4, '007', 1.5)
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_NUMBER:
        return int(value)
    found = _INTEGER.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else value


def number(value: Any) -> float | None:
    """A finite number of plausible size, also from text; None for anything else. Booleans are not numbers."""
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if is_number(value) else None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of plausible size; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def is_missing(value: Any) -> bool:
    """Whether a field says nothing: null, empty, or zero."""
    return value in (None, "", "0", 0) or (isinstance(value, list | Mapping) and not value)


def side(value: Any) -> int | None:
    """Width or height of an image, also as a float or text; None if it is none."""
    found = number(value)
    return int(found) if found is not None and found.is_integer() and 0 < found <= MAX_SIDE else None


def four_numbers(value: Any) -> tuple[float, float, float, float] | None:
    """The four numbers of a box, also as texts or with names (`x`, `y`, `width`, `height`); None if there are none."""
    if isinstance(value, Mapping):
        value = [value.get(name) for name in ("x", "y", "width", "height")]
    if not isinstance(value, list) or len(value) != 4:
        return None
    x, y, width, height = map(number, value)
    if x is None or y is None or width is None or height is None:
        return None
    return x, y, width, height
