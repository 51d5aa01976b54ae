"""Build frozen dataclasses from plain mappings: types are checked, unknown keys refused with a suggestion.

What a validation by pydantic found is put into words here, for all who validate.
"""

import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sam3model.errors import ConfigError

T = TypeVar("T")

_NAMED = 24


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value. place: its path, such as "stages.0.batch"; "" for the whole. value: as given."""

    place: str
    message: str
    value: Any

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def first_fault(error: ValidationError) -> Fault:
    """The first fault that pydantic found."""
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = "must be a path" if first["type"] == "path_type" else message  # pydantic names a class
    return Fault(".".join(map(str, first["loc"])), message, first["input"])


def parse(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls`, with those nested in it, from a mapping read from YAML or JSON.

    `where` names the mapping in messages. Integers are accepted as floats; nothing else is converted.

    Raises:
        ConfigError: an unknown key (with the closest known one), a value of the wrong type, or one that the dataclass
            refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or cls.__name__} must be a mapping, not {values!r}")
    refuse_unknown(cls, values, where)
    try:
        return TypeAdapter(cls).validate_json(json.dumps(dict(values)), strict=True)  # as JSON: lists become tuples
    except ValidationError as error:
        fault = first_fault(error)
        place = ".".join(filter(None, (where, fault.place)))
        raise ConfigError(f"{place or cls.__name__}: {fault.message}, got {fault.value!r}") from None


def refuse_unknown(cls: type, values: Any, where: str = "") -> None:
    """Raise `ConfigError` for the first key of `values`, at any depth, that is not a field of `cls`."""
    if not isinstance(values, Mapping):
        return
    hints = get_type_hints(cls)
    names = [item.name for item in fields(cls)]
    for key, value in values.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in names:
            raise ConfigError(f"unknown setting {place!r}{nearest(str(key), names)}")
        inner, many = _dataclass_in(hints[key])
        if inner is None:
            continue
        for index, item in enumerate(value if many and isinstance(value, Iterable) else [value]):
            refuse_unknown(inner, item, f"{place}.{index}" if many else place)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for messages: `; did you mean 'x'?`, or the (first) known names if none is close."""
    known = list(known)
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    shown = ", ".join(known[:_NAMED]) + (", …" if len(known) > _NAMED else "")
    return f"; did you mean {close[0]!r}?" if close else f"; known are {shown}"


def require_parts(setting: str, prefixes: Iterable[str], parameters: Iterable[str]) -> None:
    """Raise `ConfigError`, with the nearest part of the model, if no parameter starts with one of the prefixes.

    setting: that names the prefixes. parameters: the names of all parameters.
    """
    names = list(parameters)
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            depth = prefix.rstrip(".").count(".") + 1
            parts = dict.fromkeys(".".join(name.split(".")[:depth]) + "." for name in names)
            raise ConfigError(f"{setting}: no parameter starts with {prefix!r}{nearest(prefix, parts)}")


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `base` updated with `changes`, recursively for nested mappings."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _dataclass_in(hint: Any) -> tuple[type | None, bool]:
    """The dataclass in a type hint, and whether the hint is a sequence of it."""
    if isinstance(hint, type) and is_dataclass(hint):
        return hint, False
    many = get_origin(hint) in (tuple, list)
    if many or get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            inner, _ = _dataclass_in(part)
            if inner is not None:
                return inner, many
    return None, False


def require_positive(config: Any, *names: str) -> None:
    """Raise `ConfigError` if one of the named fields is not above zero."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(f"{type(config).__name__}.{name} must be positive, not {getattr(config, name)}")
