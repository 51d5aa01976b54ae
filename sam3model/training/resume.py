"""What a run takes over from a saved state: only what is its own, and no setting that was changed since."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from sam3model.checkpoint.tensor_files import open_tensors
from sam3model.errors import CheckpointError, ConfigError
from sam3model.training.config import TrainConfig, to_dict

_IDENTITY = ("seed", "model", "data")
_FREE = {"data.workers", "data.prefetch", "data.broken", "model.compile", "model.checkpointing"}


def require_same_run(kept: str, config: TrainConfig, folder: Path) -> None:
    """Refuse to go on with a state that learnt something else; budget, rates and the like may have been changed.

    kept: the config of the state, as JSON.

    Raises:
        ConfigError: it has another seed, model or data set.
    """
    was, now = (dict(_flat(settings)) for settings in (json.loads(kept), json.loads(json.dumps(to_dict(config)))))
    changed = [key for key in was.keys() & now.keys() if key not in _FREE and was[key] != now[key]]
    ours = [key for key in sorted(changed) if key.split(".")[0] in _IDENTITY]
    if ours:
        key = ours[0]
        raise ConfigError(
            f"{folder} holds a run with {key}={json.dumps(was[key])}, not {json.dumps(now[key])}: "
            f"choose another name, or begin anew with resume=false"
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def with_moments(kept: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of `optimizer` with the moments of a kept one, parameter by parameter, and settings of its own.

    Raises:
        KeyError: the kept one knows nothing of a parameter.
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
    """What validation said of the best weights that a run has written; None if there are none."""
    try:
        return json.loads(open_tensors(path).metadata["training"])["metrics"].get(metric)
    except (CheckpointError, KeyError, ValueError):
        return None
