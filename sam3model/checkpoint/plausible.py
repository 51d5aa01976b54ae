"""Whether a configuration from outside can belong to its file, checked before anything of that size is built."""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from sam3model.build import Sam3Model, build, no_memory
from sam3model.config import Sam3Config
from sam3model.errors import CheckpointError, ConfigError, reason_of

MAX_SIZE = 1 << 17
"""Maximum of widths, heads, queries and other sizes; the largest in use is the vocabulary, 49408."""

MAX_GRID = 512
"""Maximum number of tokens along one side of an image."""

_LAYERS = ("depth", "layers", "stages", "iou_depth", "fuser_layers")
_FRACTIONS = ("dropout", "drop_path")


def check_plausible(config: Sam3Config, tensors: int, location: Path) -> None:
    """Raise `CheckpointError` for sizes that no model in a file with this number of tensors can have."""
    layers = 0
    for name, value in (*_numbers("", config.detector), *_numbers("interactive.", config.interactive),
                        *_numbers("tracker.", config.tracker)):  # fmt: skip
        last = name.rsplit(".", 1)[-1]
        if isinstance(value, float) and not math.isfinite(value):
            raise CheckpointError(f"{location}: its configuration has {name} = {value}")
        if last in _FRACTIONS and not 0 <= value < 1:
            raise CheckpointError(f"{location}: its configuration has {name} = {value}; it must be from 0 to below 1")
        if isinstance(value, int) and not 0 <= value <= MAX_SIZE:
            raise CheckpointError(f"{location}: its configuration has {name} = {_short(value)}; at most {MAX_SIZE}")
        layers += int(value) if last in _LAYERS else 0
        if layers > tensors:
            raise CheckpointError(
                f"{location}: its configuration asks for {layers} layers, but the file has {tensors} tensors"
            )
    if config.detector.vit.grid > MAX_GRID or config.detector.vit.pretrain_grid > MAX_GRID:
        raise CheckpointError(f"{location}: its images have more than {MAX_GRID} patches along a side")


def build_empty(config: Sam3Config, location: Path) -> Sam3Model:
    """The model of a checked configuration, with all its parts and without memory for its tensors.

    Raises:
        CheckpointError: its sizes contradict each other.
    """
    try:
        with no_memory():
            return build(config, parts=None)
    except (
        ArithmeticError, AssertionError, ConfigError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise CheckpointError(f"the model that {location} describes cannot be built: {reason_of(error)}") from error


def _numbers(prefix: str, part: Any) -> Iterator[tuple[str, int | float]]:
    """Names and values of all numbers of a configuration, at any depth."""
    if not is_dataclass(part):
        return
    for item in fields(part):
        value = getattr(part, item.name)
        for one in value[:MAX_GRID] if isinstance(value, tuple) else (value,):
            if isinstance(one, int | float) and not isinstance(one, bool):
                yield prefix + item.name, one
        yield from _numbers(f"{prefix}{item.name}.", value)


def _short(number: int) -> str:
    return str(number) if abs(number) < 10**15 else "a number of more than 15 digits"
