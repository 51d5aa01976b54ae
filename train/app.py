"""From command-line words to a run: compose the YAML, validate it, train, report."""

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam3model.errors import ConfigError, Sam3Error
from sam3model.training.config import TrainConfig
from sam3model.training.parse import parse, refuse_unknown

CONFIGS = Path(__file__).parent / "configs"
USAGE = """usage: python -m train [experiment=NAME] [key=value …]
  python -m train experiment=playground_tiny budget.minutes=75 threads=2
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
    try:
        config = settings(arguments)
    except Sam3Error as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    return _run(config)


def settings(arguments: Sequence[str]) -> TrainConfig:
    """The validated config of these overrides.

    Raises:
        ConfigError: unknown key (with the nearest right name), unknown experiment, or a value that does not fit.
    """
    try:
        with initialize_config_dir(str(CONFIGS), version_base=None):
            composed = compose("config", overrides=list(arguments))
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        _explain(arguments)
        raise ConfigError(_first_sentence(error)) from None
    return parse(TrainConfig, values)


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


def _explain(arguments: Sequence[str]) -> None:
    """Raise ConfigError with the nearest right name for the first override that no setting has."""
    try:
        overrides = OverridesParser.create().parse_overrides(list(arguments))
    except HydraException as error:
        raise ConfigError(_first_sentence(error)) from None
    groups = {path.name for path in CONFIGS.iterdir() if path.is_dir()}
    for override in overrides:
        keys = override.key_or_group.split(".")
        if keys[0] in groups and len(keys) == 1:
            continue
        value: Any = override.value()
        for key in reversed(keys):
            value = {key: value}
        refuse_unknown(TrainConfig, value)


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[0]) if lines else type(error).__name__
