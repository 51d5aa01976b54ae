"""Composes the settings of a run from the YAML files and command-line overrides."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam3model.errors import ConfigError
from sam3model.parse import nearest, parse
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.settings import TrainConfig
from sam3model.training.unread_settings import unread_settings

CONFIGS = Path(__file__).parent / "configs"
TASKS: dict[str, tuple[str, type[TrainConfig] | type[ClipTrainConfig] | type[JointTrainConfig]]] = {
    "concepts": ("config", TrainConfig),
    "clips": ("clips", ClipTrainConfig),
    "joint": ("joint", JointTrainConfig),
}
"""For each task, its YAML file with all settings, and their class. An experiment names its task with `task:`."""


def settings(arguments: Sequence[str]) -> TrainConfig | ClipTrainConfig | JointTrainConfig:
    """The validated settings for these overrides.

    Raises:
        ConfigError: a key or an experiment is unknown (the message has the nearest one), a value is invalid, or an
            override has no effect with the source of the data.
    """
    for word in arguments:
        _check_group(*word.partition("=")[::2])
    root, kind = TASKS[task_of(arguments)]
    values = composed([addable(word) for word in arguments], root=root)
    values.pop("task", None)
    found = parse(kind, values)
    _require_read(found, arguments)
    return found


def _require_read(config: TrainConfig | ClipTrainConfig | JointTrainConfig, arguments: Sequence[str]) -> None:
    """Raise `ConfigError` for an override that is not read. What experiments set is for several sources of data."""
    given = [word.partition("=")[0].lstrip("+~") for word in arguments]
    for key, message in unread_settings(config):
        if any(f"{one}.".startswith(f"{key}.") for one in given):
            raise ConfigError(message)


def concept_settings(arguments: Sequence[str]) -> TrainConfig:
    """`settings` of a run on images. Raises `ConfigError` for other tasks too."""
    found = settings(arguments)
    if not isinstance(found, TrainConfig):
        raise ConfigError("a run on images is needed: choose an experiment without a task, such as finetune")
    return found


def task_of(arguments: Sequence[str]) -> str:
    """The task of the experiment, or of `task=…`. Raises `ConfigError` if there is no such task."""
    given = {key: value for key, _, value in (word.partition("=") for word in arguments)}
    task = given.get("task")
    if task is None and (experiment := given.get("experiment")) is not None:
        _check_group("experiment", experiment)
        found = OmegaConf.to_container(OmegaConf.load(CONFIGS / "experiment" / f"{experiment}.yaml"))
        task = found.get("task") if isinstance(found, dict) else None
    task = str(task or "concepts")
    if task not in TASKS:
        raise ConfigError(f"task {task!r} is unknown{nearest(task, TASKS)}")
    return task


def composed(overrides: Sequence[str], hydra: bool = False, root: str = "config") -> dict[str, Any]:
    """Compose the YAML files with overrides in Hydra's syntax. hydra: include Hydra's own settings.

    root: name of the file with all settings.

    Raises:
        ConfigError: Hydra or OmegaConf rejects an override.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base=None):
            values: Any = compose(root, overrides=list(overrides), return_hydra_config=hydra)
        return OmegaConf.to_container(values, resolve=not hydra)  # pyright: ignore[reportReturnType]
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_refusal(error)) from None
    except (TypeError, ValueError) as error:
        reason = first_line(error)
        if "is not an int" in reason:  # stages.first.batch
            raise ConfigError(f"parts of a list have numbers, as in stages.0.batch: {reason}") from None
        raise ConfigError(f"an override ({', '.join(overrides)}) does not fit: {reason}") from None


def _refusal(error: Exception) -> str:
    """What is wrong with an override, in words of ours."""
    override = first_line(error).removeprefix("Error merging override ")
    if override == first_line(error) or error.__cause__ is None:
        return override
    reason = first_line(error.__cause__).replace("DictConfig", "a mapping").replace("ListConfig", "a list")
    return f"{override.lstrip('+')} does not fit: {reason[:1].lower()}{reason[1:]}"


def addable(word: str) -> str:
    """An override that may also add a key. `parse` rejects unknown keys later, with a better message than Hydra's."""
    key = word.partition("=")[0]
    return word if key.startswith(("+", "~")) or _is_group(key) else f"++{word}"


def first_line(error: BaseException) -> str:
    """The first line of an error message of another library."""
    return re.sub(r"\s+", " ", str(error).strip().split("\n")[0])


def _is_group(key: str) -> bool:
    return key.isidentifier() and (CONFIGS / key).is_dir()


def _check_group(key: str, value: str) -> None:
    """Raise `ConfigError` if a group such as `experiment` has no such file."""
    if not _is_group(key):
        return
    known = sorted(path.stem for path in (CONFIGS / key).glob("*.yaml"))
    if value not in known:
        raise ConfigError(f"unknown {key} {value!r}{nearest(value, known)}")
