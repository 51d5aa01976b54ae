"""The command line of training: compose the YAML files, validate the settings, train, print the result."""

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam3model.errors import ConfigError, OutputError, Sam3Error, TrainingError
from sam3model.parse import nearest, parse
from sam3model.training.settings import TrainConfig

CONFIGS = Path(__file__).parent / "configs"
USAGE = """usage: python -m train [experiment=NAME] [key=value …]
  python -m train experiment=playground_tiny budget.minutes=75 threads=2
  python -m train check experiment=finetune data.root=FOLDER    summarise the data set and draw a contact sheet
  python -m train launch experiment=finetune data.root=FOLDER hydra.launcher.nodes=2    submit a Slurm job
experiments: {experiments}
Every key in train/configs can be overridden. A run whose folder (out/name) holds a saved state is resumed."""


def main(arguments: list[str]) -> int:
    """Run a command line. Returns 0 if it succeeded, 1 if training failed, 2 for invalid input.

    Returns 143 if a signal ended the run early; its state is then saved.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    if {"-h", "--help"} & set(arguments):
        print(
            USAGE.format(experiments=", ".join(sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))))
        )
        return 0
    command, words = (arguments[0], arguments[1:]) if arguments[:1] in (["check"], ["launch"]) else ("run", arguments)
    try:
        return {"check": _check, "launch": _launch, "run": _run}[command](words)
    except Sam3Error as error:
        print(f"train: {error}", file=sys.stderr)
        return 1 if isinstance(error, TrainingError | OutputError) else 2


def settings(arguments: Sequence[str]) -> TrainConfig:
    """The validated settings for these overrides.

    Raises:
        ConfigError: a key or an experiment is unknown (the message has the nearest one), or a value is invalid.
    """
    for word in arguments:
        _check_group(*word.partition("=")[::2])
    return parse(TrainConfig, composed([addable(word) for word in arguments]))


def composed(overrides: Sequence[str], hydra: bool = False) -> dict[str, Any]:
    """Compose the YAML files with overrides in Hydra's syntax. hydra: include Hydra's own settings.

    Raises:
        ConfigError: Hydra or OmegaConf rejects an override.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base=None):
            values: Any = compose("config", overrides=list(overrides), return_hydra_config=hydra)
        return OmegaConf.to_container(values, resolve=not hydra)  # pyright: ignore[reportReturnType]
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None


def addable(word: str) -> str:
    """An override that may also add a key. `parse` rejects unknown keys later, with a better message than Hydra's."""
    key = word.partition("=")[0]
    return word if key.startswith(("+", "~")) or _is_group(key) else f"++{word}"


def one_line(error: Exception) -> str:
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
        raise ConfigError(f"{key}: {value!r} is unknown{nearest(value, known)}")


def _check(words: Sequence[str]) -> int:
    config = settings(words)
    from train.check import check

    print(check(config))
    return 0


def _launch(words: Sequence[str]) -> int:
    from train.launch import launch

    for folder in launch(words):
        print(folder)
    return 0


def _run(words: Sequence[str]) -> int:
    config = settings(words)
    from sam3model.training.concept_task import ConceptTask
    from sam3model.training.run import train

    result = train(config, ConceptTask)
    if result.status != "finished":
        print(f"stopped at step {result.progress.step}; the same command resumes it", file=sys.stderr)
        return 143
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    print(f"{result.weights}: {result.progress.samples} images in {result.progress.seconds / 60:.1f} min; {metrics}")
    return 0
