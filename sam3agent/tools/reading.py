"""Lenient but unambiguous reading of what models and clients write as arguments.

All leniency is here. A reading is accepted only if it is the only one: `"1, 3"` and `"mask 2"` are ids, `"1-3"` (a
range, or two ids?) and `"all"` are asked about. Nothing is ever evaluated, and every loop and depth is bounded.
"""

import re
from collections.abc import Mapping
from json import JSONDecoder
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sam3model.errors import Sam3Error
from sam3model.parse import first_fault
from sam3model.untrusted import clean_line, clean_value, read_literal

MAX_NUMBERS = 4096
"""Maximum number of ids in one list."""

MAX_TEXT = 100_000
"""Maximum length of arguments in characters."""

_WRAPPERS = ("arguments", "parameters", "properties", "input", "args", "kwargs", "params")
_TOKEN = r"(?:```(?:json)?|<[|｜][^<>]{1,40}[|｜]>|</?\w{1,30}>|\ufeff)"
_BEFORE, _LAST = re.compile(rf"(?:{_TOKEN}|\s)+", re.IGNORECASE), re.compile(rf"{_TOKEN}\Z", re.IGNORECASE)
_BETWEEN = re.compile(rf"(?:{_TOKEN}|[\s}}\])`])+", re.IGNORECASE)
_LONGEST_TOKEN = 44
_MAX_TOKENS = 16
_MAX_COPIES = 8
_CHANGING = re.compile(r"exclu|except|without|remov|negat|skip|omit|^not(?:_|$)|_not(?:_|$)")
_SEPARATOR = r"\s*(?:,|;|&|\band\b|\s)\s*"
_NOUN = r"(?:(?:masks?|ids?|candidates?|objects?|instances?|numbers?|no\.|frames?)[\s_.:#=]*)?#?\s*"
_NUMBER = r"\d{1,18}(?:\.0+)?"
_NUMBERS = re.compile(rf"\s*{_NOUN}{_NUMBER}(?:{_SEPARATOR}{_NOUN}{_NUMBER})*\s*[.,;]?\s*", re.IGNORECASE)


class ToolUseError(Sam3Error):
    """An error of the caller (unknown tool, invalid arguments, no such mask), in one sentence that says how to fix it.

    The sentence may quote the caller, so it is shortened and made safe to print.
    """

    def __init__(self, message: str) -> None:
        super().__init__(clean_line(message, 500))


M = TypeVar("M", bound=BaseModel)


def read_model(model: type[M], value: Any, what: str) -> tuple[M, tuple[str, ...]]:
    """A validated model from JSON text, a literal or a mapping, and the names of the arguments that were dropped.

    Arguments encoded twice or wrapped once more are unwrapped, names are matched without case, and unknown extra ones
    are dropped. Raises `ToolUseError` with one line that names the fault.
    """
    taken, extra = named_arguments(tuple(model.model_fields), _mapping(model, value, what), what)
    try:
        return model.model_validate(_without_empty(model, taken)), tuple(extra)
    except ValidationError as error:
        raise ToolUseError(f"{what}: {first_fault(error)}") from error


def named_arguments(
    fields: tuple[str, ...], given: Mapping[str, Any], what: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that belong to fields, under the names of those, and the others.

    They are unwrapped, and names are matched without case. Raises `ToolUseError` if several may mean one field, or if
    an unknown one would change the meaning of the call.
    """
    data = _unwrapped(fields, given, what)
    taken = {name: data[name] for name in fields if name in data}
    extra = {str(name): value for name, value in data.items() if name not in fields}
    for name in fields:
        alike = [other for other in extra if _alike(other, name)]
        if len(alike) + (name in taken) > 1:
            raise ToolUseError(f"{what}: {' and '.join(alike)} may also mean {name}; give only {name}")
        if alike:
            taken[name] = extra.pop(alike[0])
    for name, value in extra.items():
        if value and _CHANGING.search(name.lower()):
            raise ToolUseError(f"{what}: there is no {name!r}; the arguments are {', '.join(fields)}")
    return taken, extra


def whole_numbers(value: Any) -> Any:
    """A list of whole numbers from any notation that has only this reading; any other value is returned unchanged.

    Raises `ValueError` for what looks like ids and can be read in several ways.
    """
    value = _decoded(value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list):
        return _numbers(value)
    if len(value) > MAX_NUMBERS:
        raise ValueError(f"{len(value)} ids are too many; give at most {MAX_NUMBERS}")
    return [number for item in value for number in _numbers(item)]


def whole_number(value: Any) -> Any:
    """One whole number from any notation that has only this reading. Raises `ValueError` for several or none."""
    if value is None:
        return value
    try:
        numbers = whole_numbers(value)
    except ValueError:
        numbers = []
    if len(numbers) != 1:
        raise ValueError(f"{clean_line(repr(value), 60)} is not one whole number")
    return numbers[0]


def phrases(value: Any) -> Any:
    """A list of phrases: one alone is a list of one. Raises `ValueError` for one text that may be several phrases."""
    value = _decoded(value)
    if isinstance(value, str):
        if re.search(r"[,;]\s*\S", value):
            parts = [part.strip() for part in re.split(r"[,;]", value) if part.strip()]
            raise ValueError(f"this is one text; for several phrases write a list: {parts[:8]!r}")
        return [value]
    if isinstance(value, Mapping):
        return [_only_text(value)]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return [_only_text(item) for item in value] if isinstance(value, list) else value


def sentence(value: Any) -> Any:
    """A remark as text. It decides nothing, so any value is accepted."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return "" if value is None else str(value)[:2000]


def _mapping(model: type[BaseModel], value: Any, what: str) -> Mapping[str, Any]:
    """The arguments as a mapping. Raises `ToolUseError` if they are something else."""
    for _ in range(3):
        if not isinstance(value, str):
            break
        if len(value) > MAX_TEXT:
            raise ToolUseError(f"{what}: {len(value)} characters are too many; be brief")
        try:
            value = _literal(value) if value.strip() else {}
        except ValueError as error:
            raise ToolUseError(f"{what}: invalid JSON ({error})") from error
    else:
        raise ToolUseError(f"{what}: must be one JSON object, not text")
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0]
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise ToolUseError(f"{what}: must be a JSON object with {', '.join(model.model_fields)}")
    try:
        value = clean_value(dict(value))
    except ValueError as error:
        raise ToolUseError(f"{what}: {error}") from error
    return value


def _literal(text: str) -> Any:
    """The value of a text. Fences, special tokens, closing brackets too many and copies around it are left out.

    Raises `ValueError` if anything else is around it, or the copies differ.
    """
    try:
        return read_literal(text)
    except ValueError as error:
        fault = error
    text = _without_tokens_after(_without_start(_BEFORE, text))
    try:
        return read_literal(text)
    except ValueError:
        pass
    decoder, found = JSONDecoder(strict=False), list[Any]()
    for _ in range(_MAX_COPIES):
        if not text:
            break
        try:
            end = decoder.raw_decode(text)[1]
            value = read_literal(text[:end])
        except (ValueError, RecursionError):
            raise fault from None
        found += [value] if value and value not in found else []
        text = _without_start(_BETWEEN, text[end:])
    if text:
        raise fault
    if len(found) != 1 or not isinstance(found[0], Mapping):
        raise fault
    return found[0]


def _without_start(start: re.Pattern[str], text: str) -> str:
    found = start.match(text)
    return text[found.end() :] if found else text


def _without_tokens_after(text: str) -> str:
    for _ in range(_MAX_TOKENS):
        text = text.rstrip()
        last = _LAST.search(text[-_LONGEST_TOKEN:])
        if not last:
            break
        text = text[: -len(last[0])]
    return text


def _unwrapped(fields: tuple[str, ...], value: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """The arguments inside a whole call, a schema or another wrapper; unchanged if there is none.

    Raises `ToolUseError` if there are arguments inside and beside it.
    """
    inside = {name: _decoded(given) for name, given in value.items() if name in _WRAPPERS and name not in fields}
    inside = {name: given for name, given in inside.items() if isinstance(given, Mapping)}
    beside = [name for name in value if name not in inside]
    if len(inside) != 1:
        return value
    ((wrapper, given),) = inside.items()
    if not any(_CHANGING.search(name.lower()) or _names_one(name, fields) for name in beside):
        return given
    if any(_names_one(str(name), fields) for name in given):
        raise ToolUseError(f"{what}: there are arguments in {wrapper!r} and beside it; give them once")
    return value


def _names_one(name: str, fields: tuple[str, ...]) -> bool:
    return any(_alike(name, field) for field in fields)


def _without_empty(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Without null values of arguments that have a default: they mean the default."""
    return {n: v for n, v in given.items() if v is not None or model.model_fields[n].is_required()}


def _alike(given: str, name: str) -> bool:
    """Whether an argument is another spelling of a field: case, plural, `masks` or `mask_ids` for `ids`, `job_id`."""
    written, wanted = (re.sub(r"[^a-z]", "", word.lower()).removesuffix("s") for word in (given, name))
    alike = (wanted, f"mask{wanted}", f"{wanted}path", "mask" if wanted == "id" else f"{wanted}id")
    return bool(written) and written in alike


def _decoded(value: Any) -> Any:
    """A list or mapping that was written as text; any other value unchanged."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{", '"', "'", "("):
        try:
            return read_literal(value)
        except ValueError:
            return value
    return value


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, inner),) = value.items()
        value = inner if _alike(str(name), "id") else value
    if isinstance(value, bool) or value is None or isinstance(value, list | Mapping):
        raise ValueError(f"{clean_line(str(value), 40)} is not a number; write a list of ids, e.g. [1, 3]")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return [int(value)]
    if isinstance(value, str):
        if not _NUMBERS.fullmatch(value[:500]) or len(value) > 500:
            raise ValueError(f"{clean_line(repr(value), 60)} can be read in several ways; write a list, e.g. [1, 3]")
        return [int(number.partition(".")[0]) for number in re.findall(_NUMBER, value)]
    return [value]


def _only_text(item: Any) -> Any:
    """The text of `{"phrase": "dog"}`; any other value unchanged."""
    if isinstance(item, Mapping) and len(item) == 1:
        ((name, inner),) = item.items()
        return inner if str(name).lower() in ("phrase", "text", "name", "query") else item
    return item
