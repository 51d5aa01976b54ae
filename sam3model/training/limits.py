"""Range checks of settings. The error names the first field that is out of range and the values it may have.

`where` is the section of the fields as users write it, e.g. `optim`, or "" for the top level. Fields that are None are
skipped; every number of a tuple is checked.
"""

from collections.abc import Callable
from typing import Any

from sam3model.errors import ConfigError


def require_above_zero(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is 0, negative or not a number."""
    _require(config, where, names, lambda number: number > 0, "above 0")


def require_not_negative(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is negative or not a number."""
    _require(config, where, names, lambda number: number >= 0, "0 or more")


def require_fraction(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is not between 0 and 1."""
    _require(config, where, names, lambda number: 0 <= number <= 1, "from 0 to 1")


def require_decay(config: Any, where: str, *names: str) -> None:
    """Raise ConfigError for the first of these fields that is not in [0, 1)."""
    _require(config, where, names, lambda number: 0 <= number < 1, "from 0 to below 1")


def require_folder_name(name: str, key: str) -> None:
    """Raise ConfigError unless `name` can name a single folder."""
    if name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
        raise ConfigError(f"{key} must be the name of one folder, without slashes, not {name!r}")


def _require(config: Any, where: str, names: tuple[str, ...], fits: Callable[[float], bool], allowed: str) -> None:
    for name in names:
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not fits(number):
                raise ConfigError(f"{where}{'.' if where else ''}{name} must be {allowed}, not {number}")
