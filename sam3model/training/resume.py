"""Resuming from a saved state: whether it belongs to this run, and which parts of the optimiser carry over."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sam3model.checkpoint.tensor_files import open_tensors
from sam3model.errors import CheckpointError, ConfigError
from sam3model.training.run_settings import RunConfig

_IDENTITY = ("seed", "model", "data")
_FREE = {
    "data.workers", "data.prefetch", "data.broken", "data.stills_weight", "model.compile", "model.checkpointing",
}  # fmt: skip
_SECTION = re.compile(r"^(images|clips)\.")
"""Where a run on images and clips keeps the settings of each."""
_RENAMED = {"data.pictures": "data.max_images"}
"""Old names of settings, as they stand in older states."""


def require_same_run(kept: str, config: RunConfig, folder: Path) -> None:
    """Check that a state has the seed, model and data of this run. Budget, rates and other settings may differ.

    kept: the config of the state, as JSON.

    Raises:
        ConfigError: the seed, the model or the data set differs.
    """
    was, now = (dict(_flat(settings)) for settings in (json.loads(kept), json.loads(json.dumps(asdict(config)))))
    was = {_RENAMED.get(key, key): value for key, value in was.items()}
    changed = [key for key in was.keys() & now.keys() if _SECTION.sub("", key) not in _FREE and was[key] != now[key]]
    ours = [key for key in sorted(changed) if _SECTION.sub("", key).split(".")[0] in _IDENTITY]
    if ours:
        key = ours[0]
        raise ConfigError(
            f"{folder} holds a run with {key}={json.dumps(was[key])}, not {json.dumps(now[key])}: "
            f"choose another name, or start over with resume=false"
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def with_moments(kept: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of `optimizer` with its own settings and the moments of a saved state, matched by parameter name.

    Raises:
        KeyError: a parameter is missing in the saved state.
    """
    moments = {
        name: kept["state"].get(index)
        for group in kept["param_groups"]
        for name, index in zip(group["names"], group["params"], strict=True)
    }
    own = optimizer.state_dict()
    state = {
        index: moments[name]
        for group in own["param_groups"]
        for name, index in zip(group["names"], group["params"], strict=True)
    }
    return {**own, "state": {index: values for index, values in state.items() if values is not None}}


def best_so_far(path: Path, metric: str) -> float | None:
    """The metric of the best weights that a run has saved; None if there are none."""
    try:
        return json.loads(open_tensors(path).metadata["training"])["metrics"].get(metric)
    except (CheckpointError, KeyError, ValueError):
        return None
