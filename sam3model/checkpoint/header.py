"""The configuration in the header of files that we wrote, with the version of their format.

Version 0, without a version in the header, has a flat configuration of the detector and tensor names without prefix.
Version 1 has one table per part, and tensor names that begin with the name of the part.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sam3model.build import config_from_dict, config_to_dict
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.config import Sam3Config, require_parts
from sam3model.errors import CheckpointError, ConfigError

FORMAT_VERSION = 1
HEADER_FIELDS = ("config", "format", "format_version")
"""Header fields that describe the file itself; others come from callers, e.g. a training record."""


def header(config: Sam3Config) -> dict[str, str]:
    """The header fields that let `load` rebuild a model."""
    return {"config": json.dumps(config_to_dict(config)), "format_version": str(FORMAT_VERSION)}


def version_of(file: TensorFile) -> int:
    """Format version of a file that we wrote. Raises `CheckpointError` if it is too new, or not a number."""
    text = file.metadata.get("format_version", "0")
    if not text.isdecimal() or len(text) > 9 or int(text) > FORMAT_VERSION:
        text = text if len(text) < 20 else f"{text[:20]}…"
        raise CheckpointError(
            f"{file.location} has format version {text}, and this code reads up to {FORMAT_VERSION}: update sam3agent"
        )
    return int(text)


def stated_config(file: TensorFile, parts: Collection[str] | None) -> tuple[Sam3Config, tuple[str, ...]]:
    """The configuration of a file that we wrote, and the parts of the file that are left out.

    parts: the parts to keep if the file has them; None keeps all.

    Raises:
        CheckpointError: the configuration is missing, invalid, or has an unknown part that is not left out.
    """
    if "config" not in file.metadata:
        raise CheckpointError(f"{file.location} has no configuration in its header: export it again with sam3agent")
    try:
        values = json.loads(file.metadata["config"])
        if version_of(file) == 0:
            values = {"detector": _from_version_0(values)}
        present = [part for part, content in values.items() if content is not None]
        kept = present if parts is None else [part for part in present if part in parts]
        require_parts(kept)
        config = config_from_dict({part: values[part] for part in kept})
    except RecursionError:
        raise CheckpointError(f"the configuration of {file.location} is nested too deeply") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"the configuration of {file.location} cannot be used: {error!s:.500}") from error
    return config, tuple(part for part in present if part not in kept)


def _from_version_0(values: Mapping[str, Any]) -> dict[str, Any]:
    """In version 0 the neck had one or two heads with the same number of dropped levels."""
    values = dict(values)
    neck = values.get("neck")
    if isinstance(neck, Mapping):
        head = {"dropped_levels": neck.get("dropped_levels", 1)}
        rest = {key: value for key, value in neck.items() if key not in ("dropped_levels", "tracker_neck")}
        values["neck"] = {**rest, "detection": head, "interactive": head if neck.get("tracker_neck", True) else None}
    return values
