"""From a configuration to a model."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from sam3model.config import PRESETS, DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError


def build(config: DetectorConfig | str = "sam3") -> Sam3ImageModel:
    """Build the image model, freshly initialised, on the current default device.

    Args:
        config: a configuration, or the name of a preset (`sam3`, `sam3_tiny`).

    Raises:
        ConfigError: no preset has that name.
    """
    if isinstance(config, str):
        if config not in PRESETS:
            raise ConfigError(f"no preset is called {config!r}: choose one of {', '.join(PRESETS)}")
        config = PRESETS[config]()
    return Sam3ImageModel(config)


def config_to_dict(config: DetectorConfig) -> dict[str, Any]:
    """A configuration as plain JSON-ready values."""
    return dataclasses.asdict(config)


def config_from_dict(values: Mapping[str, Any]) -> DetectorConfig:
    """The inverse of `config_to_dict`; absent fields keep their defaults.

    Raises:
        ConfigError: an unknown field, or a value that does not fit.
    """
    return _dataclass_from(DetectorConfig, values, "")


def _dataclass_from(kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"configuration {where.rstrip('.') or 'file'} must be a table of values, not {values!r}")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"unknown configuration field {where}{unknown[0]}; known: {', '.join(hints)}")
    fields = {name: _value_from(hints[name], value, f"{where}{name}") for name, value in values.items()}
    return kind(**fields)


def _value_from(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _dataclass_from(hint, value, f"{where}.")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"configuration field {where} must be a list, not {value!r}")
        item = typing.get_args(hint)[0]
        return tuple(_value_from(item, entry, where) for entry in value)
    accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in accepted and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise ConfigError(f"configuration field {where} cannot be {value!r}")
    return value
