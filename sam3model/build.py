"""From a configuration to a model."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sam3model.config import PRESETS, DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError
from sam3model.parse import parse


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
    return parse(DetectorConfig, values)
