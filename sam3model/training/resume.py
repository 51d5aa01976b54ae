"""Resuming from a saved state: whether it belongs to this run, and which parts of the optimiser carry over."""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sam3model.checkpoint.tensor_files import open_tensors
from sam3model.errors import CheckpointError, ConfigError
from sam3model.files import expanded
from sam3model.training.run_settings import RunConfig

log = logging.getLogger(__name__)

WEIGHTS = ("best.safetensors", "final.safetensors")
"""The weights that a run writes to its folder."""

_IDENTITY = ("seed", "model", "data")
_FREE = {
    "data.workers", "data.prefetch", "data.broken", "data.stills_weight", "model.compile", "model.checkpointing",
}  # fmt: skip
_SECTION = re.compile(r"^(images|clips)\.")
"""Where a run on images and clips keeps the settings of each."""
_KEYS_OF_USERS = ("model.overrides.", "data.hard_negatives.", "model.lora.rank")
"""Settings that only stand in a state if somebody gave them; others are missing in states of older versions alone."""
_PLACES = ("data.root", "model.weights")
"""Settings that are paths: what they name may have been moved."""
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
    ours = [key for key in sorted(_changed(was, now)) if _SECTION.sub("", key).split(".")[0] in _IDENTITY]
    if ours:
        key = ours[0]
        raise ConfigError(
            f"{folder} holds a run with {key}={json.dumps(was.get(key))}, not {json.dumps(now.get(key))}: "
            f"choose another name, or start over with resume=false"
        )


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The settings that differ."""
    for key in was.keys() | now.keys():
        name = _SECTION.sub("", key)
        if key in was and key in now:
            same = was[key] == now[key] or (name in _PLACES and _same_place(was[key], now[key]))
            if name not in _FREE and not same:
                yield key
        elif name.startswith(_KEYS_OF_USERS):
            yield key


def _same_place(was: Any, now: Any) -> bool:
    """Whether two paths lead to one place, or the second to what was moved from the first.

    What was moved has the same two last names: those alone of runs and splits are often "best.safetensors" or "train".
    """
    if not isinstance(was, str) or not isinstance(now, str):
        return False
    old, new = expanded(was), expanded(now)
    if not new.exists():
        return False
    if old.resolve() == new.resolve():
        return True
    moved = not old.exists() and old.absolute().parts[-2:] == new.absolute().parts[-2:]
    if moved:
        log.warning("%s is gone, and %s is taken for it; if it is another one, choose another name", was, now)
    return moved


def require_other_weights(config: RunConfig, folder: Path) -> None:
    """Check that a run does not start from a file that it deletes or writes over. Raises `ConfigError`."""
    weights = getattr(getattr(config, "model", None), "weights", None)
    if weights is None or (config.resume and any(folder.glob("step_*.pt"))):
        return
    path = expanded(weights)
    own = path.is_dir() or (path.name in WEIGHTS and path.exists())
    if own and (path if path.is_dir() else path.parent).resolve() == folder.resolve():
        raise ConfigError(f"model.weights: this run would write over {path}: choose another name, or copy that file")


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


Rank = tuple[float, float]
"""How good weights are: their metric, then how low their validation loss is. The highest are the best."""


def rank_of(metrics: Mapping[str, float | None], metric: str) -> Rank | None:
    """The rank of weights with these metrics; None if they cannot be the best."""
    value, loss = metrics.get(metric), metrics.get("loss")
    loss = 0.0 if loss is None else loss
    return (value, -loss) if value is not None and math.isfinite(value) and math.isfinite(loss) else None


def best_so_far(path: Path, metric: str) -> Rank | None:
    """The rank of the best weights that a run has saved; None if there are none."""
    try:
        return rank_of(json.loads(open_tensors(path).metadata["training"])["metrics"], metric)
    except (CheckpointError, KeyError, ValueError):
        return None
