"""The command line of training: read the settings, then train, check the data or launch jobs."""

import logging
import os
import sys
from collections.abc import Sequence

from sam3model.errors import OutputError, Sam3Error, TrainingError
from sam3model.printable import PrintableFormatter, one_line, prepare_streams, printable
from sam3model.training.clip_settings import ClipTrainConfig
from sam3model.training.joint_settings import JointTrainConfig
from sam3model.training.settings import TrainConfig
from train.compose import CONFIGS, settings
from train.setting_words import COMMANDS, readable

USAGE = """usage: python -m train experiment=NAME [key=value …]
  python -m train experiment=playground_tiny budget.minutes=75 threads=2
  python -m train check experiment=finetune data.root=FOLDER    summarise the data set and draw a contact sheet
  python -m train launch experiment=finetune data.root=FOLDER hydra.launcher.nodes=2    submit a Slurm job
experiments: {experiments}
Every key in train/configs can be overridden. Paths are taken as they are: "data.root=~/my birds (v2), final=1".
A run is resumed if its folder (out/name) contains a saved state."""


def main(arguments: list[str]) -> int:
    """Run a command line. Returns 0 if it succeeded, 1 if training failed, 2 for invalid input.

    Returns 143 if a signal ended the run early; its state is then saved. Returns 130 after Ctrl-C before that.
    """
    prepare_streams()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        return _dispatch(arguments)
    except Sam3Error as error:
        return _fail(
            str(error).replace("--device ", "device="), 1 if isinstance(error, TrainingError | OutputError) else 2
        )
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # e.g. `check … | head`
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (the interpreter flushes it at the end)
        return 1
    except OSError as error:
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _fail(_unexpected(error), 1)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments) or arguments == ["help"]:
        known = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
        print(USAGE.format(experiments=", ".join(known)), flush=True)
        return 0
    command, words = (arguments[0], arguments[1:]) if arguments[0] in COMMANDS else ("run", arguments)
    words = readable(words, sweep=command == "launch")
    return {"check": _check, "launch": _launch, "run": _run}[command](words)


def _fail(message: object, code: int) -> int:
    print(f"train: {one_line(message)}", file=sys.stderr)
    return code


def _unexpected(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "the memory is used up: set a smaller batch or size in stages, or train adapters (docs/training.md)"
    first = next(iter(str(error).splitlines()), "")
    return f"unexpected error, please report it: {type(error).__name__}: {first} (python -X dev -m train … shows where)"


def _check(words: Sequence[str]) -> int:
    config = settings(words)
    from train.check import check
    from train.clip_check import check_clips

    if isinstance(config, JointTrainConfig):
        print(printable(check(config.image_run(), "contact_sheet_images.png")), "\n")
        print(printable(check_clips(config.clip_run(), "contact_sheet_clips.png")))
    else:
        print(printable(check_clips(config) if isinstance(config, ClipTrainConfig) else check(config)))
    return 0


def _launch(words: Sequence[str]) -> int:
    from train.launch import launch

    for folder in launch(words):
        print(folder)
    return 0


def _run(words: Sequence[str]) -> int:
    config = settings(words)
    from sam3model.training.training_log import metrics_text
    from train.tasks import run_task

    result, unit = run_task(config), "images" if isinstance(config, TrainConfig) else "clips"
    if result.status != "finished":
        print(f"stopped at step {result.progress.step}; the same command resumes it", file=sys.stderr)
        return 143
    seconds, metrics = result.progress.seconds, metrics_text(result.metrics)
    print(f"{result.weights}: {result.progress.samples} {unit} in {seconds / 60:.1f} min; {metrics}")
    for line in result.warnings:
        print(f"warning: {line}")
    return 0
