"""Output of a run: a progress bar or log lines, all scalars as JSONL, and TensorBoard files if it is installed."""

import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from sam3model.errors import OutputError
from sam3model.files import write_text

log = logging.getLogger(__name__)

Metrics = Mapping[str, float | None]
"""Metrics by name; None: the metric does not apply to what was validated."""

_LINE_SECONDS = 30.0


def metrics_text(metrics: Metrics) -> str:
    """Metrics as people read them, without those that do not apply.

    >>> metrics_text({"AP": 0.5, "cgF1": None})
    'AP 0.500'
    """
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if value is not None)


@contextlib.contextmanager
def log_failure(message: str) -> Iterator[None]:
    """Log an output error with this message instead of raising it: a full disk must not end a run."""
    try:
        yield
    except (OutputError, OSError) as error:
        log.error("%s: %s", message, error)


class TrainingLog:
    """Writes `scalars.jsonl` and TensorBoard's `events.*` in the folder of a run, from step `since` on.

    Entries after that step, from a run that was killed, are removed. Progress is a bar on stderr if that is a terminal,
    otherwise a log line every half minute.
    """

    def __init__(self, folder: Path, since: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "scalars.jsonl"
        _drop_after(self.path, since)
        self.file = self.path.open("a", encoding="utf-8")
        self.board = _tensorboard(folder, since)
        self.bar = tqdm(total=100, disable=not sys.stderr.isatty(), bar_format="{percentage:5.1f}% |{bar}| {desc}")
        self.last_line = time.monotonic()

    def scalars(self, step: int, values: dict[str, Any]) -> None:
        """Write the scalars of a step; non-finite ones as null."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with log_failure("scalars were not written"):
            self.file.write(json.dumps({"step": step, **finite}) + "\n")
            self.file.flush()
            if self.board is not None:
                for name, value in values.items():
                    if isinstance(value, int | float):
                        self.board.add_scalar(name, value, step)

    def progress(self, step: int, progress: float, seconds: float, loss: float, rate: float) -> None:
        """Show the progress, the smoothed loss, samples per second and the remaining time."""
        progress = min(1.0, progress)  # the last step may exceed a budget of minutes
        left = seconds * (1 - progress) / progress if progress > 0 else 0.0
        text = f"step {step} · loss {loss:.3f} · {rate:.1f} samples/s · {timedelta(seconds=round(left))} left"
        self.bar.n = 100 * progress
        self.bar.set_description_str(text)
        if self.bar.disable and time.monotonic() - self.last_line > _LINE_SECONDS:
            self.last_line = time.monotonic()
            log.info("%4.1f%% · %s", 100 * progress, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        for file in (self.file, self.board):
            with log_failure("the last scalars were not written"):
                if file is not None:
                    file.close()


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    write_text(path, "".join(line for line in lines if _step_of(line) <= step))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (KeyError, TypeError, ValueError):
        return float("inf")  # a torn line of a killed run, or what a crash of the machine left


def _tensorboard(folder: Path, since: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=since + 1)
