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

from sam3model.errors import ConfigError, Sam3Error
from sam3model.parse import nearest, parse
from sam3model.training.config import TrainConfig

CONFIGS = Path(__file__).parent / "configs"
USAGE = """usage: python -m train [experiment=NAME] [key=value …]
  python -m train experiment=playground_tiny budget.minutes=75 threads=2
  python -m train check data=coco data.root=FOLDER    what a run would train on, and a contact sheet of it
experiments: {experiments}
Every key of train/configs can be overridden; a run is resumed when its folder (out/name) holds a state."""


def main(arguments: Sequence[str]) -> int:
    """Run the words of a command line. Returns 0 when the run finished, 1 when it failed, 2 for bad settings.

    143 is returned when SIGTERM ended it early with its state saved.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    if {"-h", "--help"} & set(arguments):
        print(
            USAGE.format(experiments=", ".join(sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))))
        )
        return 0
    checking = list(arguments[:1]) == ["check"]
    try:
        config = settings(arguments[1:] if checking else arguments)
    except Sam3Error as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return _check(config) if checking else _run(config)


def settings(arguments: Sequence[str]) -> TrainConfig:
    """The validated config of these overrides.

    Raises:
        ConfigError: unknown key (with the nearest right name), unknown experiment, or a value that does not fit.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base=None):
            composed = compose("config", overrides=[_prepared(word) for word in arguments])
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(re.sub(r"\s+", " ", str(error).strip().split("\n")[0])) from None
    return parse(TrainConfig, values)


def _prepared(word: str) -> str:
    """An override in the form that may add keys: which keys there are is for `parse` to say, and it knows all of them.

    Raises:
        ConfigError: a group such as `experiment` has no such file.
    """
    key, _, value = word.partition("=")
    folder = CONFIGS / key
    if not key.isidentifier() or not folder.is_dir():
        return word if key.startswith(("+", "~")) else f"++{word}"
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if value not in known:
        raise ConfigError(f"{key}: {value!r} is unknown{nearest(value, known)}")
    return word


def _check(config: TrainConfig) -> int:
    from train.check import check

    try:
        print(check(config))
    except Sam3Error as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return 0


def _run(config: TrainConfig) -> int:
    from sam3model.training.run import train

    try:
        result = train(config)
    except ConfigError as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except Sam3Error as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    if result.status == "stopped":
        print(f"stopped at step {result.progress.step}; the same command resumes it", file=sys.stderr)
        return 143
    figures = ", ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    print(f"{result.weights}: {result.progress.pictures} pictures in {result.progress.seconds / 60:.1f} min; {figures}")
    return 0
