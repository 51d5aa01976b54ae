"""Text and JSON that others wrote (models, servers, files), made clean and bounded before anything else reads it."""

import ast
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from sam3model.printable import CONTROL, INVISIBLE

MAX_DEPTH = 64
"""Maximum nesting of JSON values; the parser itself would accept a depth at which later steps fail."""

MAX_DIGITS = 18
"""Maximum number of digits of an integer; longer ones become None."""

MAX_LITERAL = 20_000
"""Maximum number of characters that are read as a literal of Python."""

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_CONTROL = re.compile(f"[{CONTROL}]")
_NAMES = {"true": True, "false": False, "null": None, "none": None, "undefined": None}


def clean_text(text: str) -> str:
    """The text without control characters (except tab and line feed), bidirectional marks and surrogates."""
    return _CONTROL.sub(" ", _INVISIBLE.sub("", text.replace("\r\n", "\n")))


def clean_line(text: str, limit: int | None = None) -> str:
    """The clean text on one line, cut to at most `limit` characters."""
    return " ".join(clean_text(text).split())[:limit]


def read_json(data: bytes | str, max_depth: int = MAX_DEPTH, *, unique: bool = False, strict: bool = True) -> Any:
    """The value of a JSON text. Strings are clean; NaN, infinity and huge numbers are None.

    Bytes that are not valid in their encoding are replaced. Raises `ValueError` if the text is not JSON, is nested too
    deeply, has a key twice (with `unique`), or has line breaks inside a string (with `strict`).
    """
    if isinstance(data, bytes):
        data = data.decode(json.detect_encoding(data), "replace")
    try:
        value = json.loads(
            data.removeprefix("\ufeff"),
            strict=strict,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_nothing,
            object_pairs_hook=_unique if unique else None,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return clean_value(value, max_depth)


def read_literal(text: str) -> Any:
    """The value of JSON text or of a literal in the notation of Python; nothing is evaluated.

    Names stand for themselves as keys, and for true, false and null. Raises `ValueError` if it is more than a literal,
    has a key twice, or is nested too deeply.
    """
    try:
        return read_json(text, unique=True, strict=False)
    except ValueError as error:
        reason = str(error)
    if len(text) > MAX_LITERAL or not text.strip():
        raise ValueError(reason)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(reason) from None
    return clean_value(literal_value(tree.body, reason))


def literal_value(node: ast.expr, reason: str = "not a literal", depth: int = 0) -> Any:
    """The value of a node of a parsed literal. Raises `ValueError` with the reason if it is more than that."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    match node:
        case ast.Constant(value=value) if type(value) is int:
            return value if abs(value) < 10**MAX_DIGITS else None
        case ast.Constant(value=value) if isinstance(value, float) and not math.isfinite(value):
            return None
        case ast.Constant(value=value) if value is None or isinstance(value, str | bool | float):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [literal_value(item, reason, depth + 1) for item in items]
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return _unique((_key(key, reason), literal_value(item, reason, depth + 1)) for key, item in pairs)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float()) as operand):
            value = literal_value(operand, reason, depth + 1)
            return None if value is None else -value
        case ast.Name(id=name) if name.lower() in _NAMES:
            return _NAMES[name.lower()]
    raise ValueError(reason)


def clean_value(value: Any, max_depth: int = MAX_DEPTH) -> Any:
    """A copy of a JSON value with clean strings. Raises `ValueError` if it is nested too deeply."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list | dict) and max_depth <= 0:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [clean_value(item, max_depth - 1) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): clean_value(item, max_depth - 1) for key, item in value.items()}
    return value


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dictionary. Raises `ValueError` if a key is there twice with different values."""
    made = dict[str, Any]()
    for key, value in pairs:
        if key in made and made[key] != value:
            raise ValueError(f"the key {key[:40]!r} is given twice")
        made[key] = value
    return made


def _key(node: ast.expr | None, reason: str) -> str:
    match node:
        case ast.Constant(value=str(name)) | ast.Name(id=name):
            return name
    raise ValueError(reason)


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _real(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < float("inf") else None


def _nothing(_: str) -> None:
    return None
