"""What a run says: a progress bar or log lines, a JSONL of all scalars, and TensorBoard where it is installed."""

import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from sam3model.errors import OutputError
from sam3model.files import write_text

log = logging.getLogger(__name__)

_LINE_SECONDS = 30.0


@contextlib.contextmanager
def lasting(what: str) -> Iterator[None]:
    """Log that something could not be written, and go on: a full disk must not cost the training that was done."""
    try:
        yield
    except (OutputError, OSError) as error:
        log.error("%s: %s", what, error)


class Report:
    """Writes `scalars.jsonl` (and `events.*`) in a run's folder. Lines after step `since` are from a lost run: dropped.

    On a terminal, a bar on stderr; elsewhere a log line every half minute.
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
        """Keep the numbers of a step."""
        told = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with lasting("scalars are missing"):
            self.file.write(json.dumps({"step": step, **told}) + "\n")
            self.file.flush()
            if self.board is not None:
                for name, value in values.items():
                    if isinstance(value, int | float):
                        self.board.add_scalar(name, value, step)

    def progress(self, step: int, progress: float, seconds: float, loss: float, rate: float) -> None:
        """Show how far the run is, the smoothed loss, pictures per second and the time that is left."""
        left = seconds * (1 - progress) / progress if progress > 0 else 0.0
        text = f"step {step} · loss {loss:.3f} · {rate:.1f} pictures/s · {timedelta(seconds=round(left))} left"
        self.bar.n = min(100.0, 100 * progress)
        self.bar.set_description_str(text)
        if self.bar.disable and time.monotonic() - self.last_line > _LINE_SECONDS:
            self.last_line = time.monotonic()
            log.info("%4.1f%% · %s", 100 * progress, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        for file in (self.file, self.board):
            with lasting("the last scalars are missing"):
                if file is not None:
                    file.close()


class Silent:
    """The report of a process that leaves speaking and writing to the first one."""

    def scalars(self, step: int, values: dict[str, Any]) -> None:
        """Keep nothing."""

    def progress(self, step: int, progress: float, seconds: float, loss: float, rate: float) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(path, "".join(line for line in lines if _step_of(line) <= step))


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return float("inf")  # the torn last line of a killed run


def _tensorboard(folder: Path, since: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=since + 1)
