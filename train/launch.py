"""`python -m train launch …`: submit a run as a Slurm job, or a sweep as several, through Hydra's submitit launcher.

Each task of a job is one process of the run, joined with the others as under torchrun. A job that is preempted or
about to run out of time saves its state, is queued again, and resumes.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sam3model.errors import ConfigError, TrainingError
from sam3model.parse import parse
from train.compose import CONFIGS, TASKS, addable, composed, first_line, settings, task_of

_PLUGIN = "hydra_plugins.hydra_submitit_launcher"


def launch(arguments: Sequence[str]) -> list[Path]:
    """Submit one job for each combination of a sweep, and wait for all of them.

    Overrides that start with `hydra` configure the launcher. `hydra/launcher=…` chooses it; the default is `slurm` in
    `train/configs/hydra/launcher`. Returns the folders of the runs.

    Raises:
        ConfigError: the plugin or Slurm is missing, a setting is invalid, or two jobs would use the same folder.
        TrainingError: a job failed.
    """
    if importlib.util.find_spec("hydra_plugins") is None or importlib.util.find_spec(_PLUGIN) is None:
        raise ConfigError("launch needs Hydra's submitit launcher: pip install 'sam3agent[slurm]'")
    own = [word for word in arguments if word.startswith("hydra")]
    words = [word for word in arguments if not word.startswith("hydra")]
    if not any(word.startswith("hydra/launcher=") for word in own):
        own.append("hydra/launcher=slurm")
    _check_launcher(own)
    choices = list(combinations(words))
    tasks = {task_of(choice) for choice in choices}
    if len(tasks) > 1:
        raise ConfigError(f"experiment: the jobs of a sweep must have one task, not {' and '.join(sorted(tasks))}")
    configs = [settings(choice) for choice in choices]
    folders = [Path(config.out) / config.name for config in configs]
    if len(set(folders)) < len(folders):
        raise ConfigError(
            "name: two jobs of the sweep would write to the same folder; add what differs, as in name='run_${optim.lr}'"
        )
    jobs = Path(configs[0].out) / "jobs" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    print(f"job logs: {jobs}/.submitit", file=sys.stderr)
    places = {"hydra.sweep.dir": str(jobs), "hydra.launcher.name": configs[0].name}
    quoted = [f"{key}='{value}'" for key, value in places.items()]
    (task,) = tasks
    _submit([f"++task={task}", *(addable(word) for word in words if not word.startswith("task=")), *quoted, *own], task)
    return folders


def combinations(words: Sequence[str]) -> Iterator[list[str]]:
    """The overrides of each job, for all combinations of the values in `key=a,b`.

    >>> list(combinations(["seed=1,2", "name=x"]))
    [['seed=1', 'name=x'], ['seed=2', 'name=x']]

    Raises:
        ConfigError: a word is not an override.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        raise ConfigError(first_line(error)) from None
    choices = [
        [f"{word.split('=', 1)[0]}={one}" for one in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [word]
        for word, override in zip(words, parsed, strict=True)
    ]
    return (list(choice) for choice in itertools.product(*choices))


def job(words: DictConfig) -> Path | None:
    """One task of a job, which is one process of the run. Returns the path of the final weights.

    If the scheduler interrupts it, the state is saved and submitit gets the signal; its first task queues the job
    again. SIGTERM alone ends it with exit code 143.
    """
    from submitit import JobEnvironment
    from submitit.helpers import TorchDistributedEnvironment

    from train.tasks import run_task

    values: Any = OmegaConf.to_container(words, resolve=True)
    _, kind = TASKS[values.pop("task")]
    config = parse(kind, values)
    TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    result = run_task(config)
    if result.status == "finished":
        return result.weights
    if result.status == "preempted":
        signal.raise_signal(signal.Signals[f"SIG{JobEnvironment.USR_SIG}"])
        sys.exit(0)  # not the first task; if this one failed, Slurm would end the job before it is queued again
    sys.exit(143)


def _check_launcher(words: Sequence[str]) -> None:
    target = str(composed(words, hydra=True)["hydra"]["launcher"]["_target_"])
    if not target.startswith(_PLUGIN):
        raise ConfigError("hydra/launcher: choose slurm, submitit_slurm or submitit_local")
    if target.endswith("SlurmLauncher") and shutil.which("sbatch") is None:
        raise ConfigError("Slurm is missing (no sbatch): use hydra/launcher=submitit_local, or torchrun")


def _submit(words: Sequence[str], task: str) -> None:
    """Run `hydra.main`, which reads `sys.argv`, with its errors raised instead of printed."""
    from submitit.core.utils import FailedSubmissionError, UncompletedJobError

    run = hydra.main(version_base=None, config_path=str(CONFIGS), config_name=TASKS[task][0])(job)
    before, sys.argv = sys.argv, [sys.argv[0], "--multirun", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        run()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(first_line(error)) from None
    except (UncompletedJobError, FailedSubmissionError) as error:
        raise TrainingError(f"{first_line(error)} (see the job logs)") from None
    finally:
        sys.argv = before
