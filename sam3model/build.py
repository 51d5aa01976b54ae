"""Build a model from its configuration, and convert configurations to and from plain values."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from sam3model.config import PARTS, PRESETS, Sam3Config, require_parts
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import ConfigError
from sam3model.parse import parse


class Sam3Model(nn.Module):
    """The parts of SAM 3, each a submodule with its own configuration. Today that is `detector`, the image model."""

    def __init__(self, detector: Sam3ImageModel) -> None:
        super().__init__()
        self.detector = detector

    @property
    def config(self) -> Sam3Config:
        """The configuration of the parts that this model has."""
        return Sam3Config(self.detector.config)


def build(config: Sam3Config | str = "sam3", parts: Collection[str] = PARTS) -> Sam3Model:
    """Build a freshly initialised model on the current default device.

    Args:
        config: a configuration or the name of a preset (`sam3`, `sam3_1`, `sam3_tiny`).
        parts: which of its parts to build.

    Raises:
        ConfigError: unknown preset, or a part that cannot be built.
    """
    if isinstance(config, str):
        if config not in PRESETS:
            raise ConfigError(f"unknown preset {config!r}: choose from {', '.join(PRESETS)}")
        config = PRESETS[config]()
    require_parts(parts)
    return Sam3Model(Sam3ImageModel(config.detector))


def config_to_dict(config: Sam3Config) -> dict[str, Any]:
    """A configuration as JSON-ready values, without the parts that are None."""
    return {part: values for part, values in dataclasses.asdict(config).items() if values is not None}


def config_from_dict(values: Mapping[str, Any]) -> Sam3Config:
    """The inverse of `config_to_dict`; missing fields keep their defaults.

    Raises:
        ConfigError: an unknown field, an invalid value, or a part that cannot be built.
    """
    reserved = {field.name for field in dataclasses.fields(Sam3Config)}.difference(PARTS)
    if isinstance(values, Mapping):
        require_parts([*PARTS, *(part for part in reserved if values.get(part) is not None)])
    return parse(Sam3Config, values)
