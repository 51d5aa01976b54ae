"""Limits of settings: the first field beyond them is refused in one line that names its key and what is allowed.

`where` is the key of the table that the fields are in, as people write it: `optim`, and "" for the run itself. A field
that is None is left out of the question; of a tuple, every number is looked at.
"""

from collections.abc import Callable
from typing import Any

from sam3model.errors import ConfigError


def require_above_zero(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is 0, negative or no number."""
    _require(config, where, names, lambda number: number > 0, "above 0")


def require_not_negative(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is negative or no number."""
    _require(config, where, names, lambda number: number >= 0, "0 or more")


def require_share(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is not from 0 to 1."""
    _require(config, where, names, lambda number: 0 <= number <= 1, "from 0 to 1")


def require_decay(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is not from 0 to below 1."""
    _require(config, where, names, lambda number: 0 <= number < 1, "from 0 to below 1")


def require_folder_name(name: str, key: str) -> None:
    """Raise ConfigError unless `name` can be that of one folder inside another."""
    if name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
        raise ConfigError(f"{key} is the name of one folder, without slashes, not {name!r}")


def _require(config: Any, where: str, names: tuple[str, ...], fits: Callable[[float], bool], allowed: str) -> None:
    for name in names:
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not fits(number):
                raise ConfigError(f"{where}{'.' if where else ''}{name} is {allowed}, not {number}")
