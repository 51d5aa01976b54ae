"""From command-line words to a run: compose the YAML, validate it, train, report."""

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
from sam3model.training.config import TrainConfig

CONFIGS = Path(__file__).parent / "configs"
USAGE = """usage: python -m train [experiment=NAME] [key=value …]
  python -m train experiment=playground_tiny budget.minutes=75 threads=2
  python -m train check experiment=finetune data.root=FOLDER    what a run would train on, and a contact sheet of it
  python -m train launch experiment=finetune data.root=FOLDER hydra.launcher.nodes=2    as a job under Slurm
experiments: {experiments}
Every key of train/configs can be overridden; a run is resumed when its folder (out/name) holds a state."""


def main(arguments: list[str]) -> int:
    """Run the words of a command line. Returns 0 when the run finished, 1 when it failed, 2 for bad input.

    143 is returned when a signal ended it early with its state saved.
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
    """The validated config of these overrides.

    Raises:
        ConfigError: unknown key (with the nearest right name), unknown experiment, or a value that does not fit.
    """
    for word in arguments:
        _check_group(*word.partition("=")[::2])
    return parse(TrainConfig, composed([addable(word) for word in arguments]))


def composed(overrides: Sequence[str], hydra: bool = False) -> dict[str, Any]:
    """The YAML with overrides in Hydra's own form laid over it; with Hydra's settings too, if wanted.

    Raises:
        ConfigError: Hydra or OmegaConf refuses them.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base=None):
            values: Any = compose("config", overrides=list(overrides), return_hydra_config=hydra)
        return OmegaConf.to_container(values, resolve=not hydra)  # pyright: ignore[reportReturnType]
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(one_line(error)) from None


def addable(word: str) -> str:
    """An override in the form that may add keys: which keys there are is for `parse` to say, which knows them all."""
    key = word.partition("=")[0]
    return word if key.startswith(("+", "~")) or _is_group(key) else f"++{word}"


def one_line(error: Exception) -> str:
    """The first line of what another library says."""
    return re.sub(r"\s+", " ", str(error).strip().split("\n")[0])


def _is_group(key: str) -> bool:
    return key.isidentifier() and (CONFIGS / key).is_dir()


def _check_group(key: str, value: str) -> None:
    """Raises `ConfigError` if a group such as `experiment` has no such file."""
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
    from sam3model.training.run import train

    result = train(config)
    if result.status != "finished":
        print(f"stopped at step {result.progress.step}; the same command resumes it", file=sys.stderr)
        return 143
    figures = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    print(f"{result.weights}: {result.progress.pictures} pictures in {result.progress.seconds / 60:.1f} min; {figures}")
    return 0
