"""The state of a run on disk: written atomically, restored from the newest readable file, old files pruned."""

import json
import logging
import os
import pickle
import shlex
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam3model.errors import ConfigError, OutputError, TrainingError, reason_of
from sam3model.files import held_alone, replacing
from sam3model.training.run_settings import RunConfig

log = logging.getLogger(__name__)

_UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@dataclass(slots=True)
class Progress:
    """How far a run is: steps, samples and prompts done, seconds spent, non-finite steps in a row and in total."""

    step: int = 0
    samples: int = 0
    prompts: int = 0
    seconds: float = 0.0
    bad_in_a_row: int = 0
    bad_steps: int = 0


def own_folder(config: RunConfig) -> Path:
    """The folder of a run, `out/name`, created if it is missing. Raises `ConfigError` if that fails."""
    folder = Path(config.out) / config.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: cannot make the folder {folder}: {error.strerror}") from None
    return folder


@contextmanager
def alone_in(folder: Path, first: bool) -> Iterator[None]:
    """Keep other runs out of the folder of a run, where the system can.

    first: whether this is the first process of the run, the one that writes; for others nothing is done.

    Raises `ConfigError` if another run is writing into it.
    """
    handle = None
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY) if first else None
    if handle is None:
        yield
        return
    try:
        if not held_alone(handle):
            raise ConfigError(f"another run is writing into {folder}: wait for it, or choose another name or out")
        yield
    finally:
        os.close(handle)


def training_record(config: RunConfig, progress: Progress, metrics: Mapping[str, float | None]) -> str:
    """How weights were trained, as JSON for their header: command, settings, progress, metrics and versions."""
    record = {
        "command": shlex.join(["python", "-m", "train", *sys.argv[1:]]),
        "settings": asdict(config),
        "progress": asdict(progress),
        "metrics": metrics,
        "torch": torch.__version__,
    }
    return json.dumps(record)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """State of the random number generators of the CPU and, if `device` is one, of the CUDA device."""
    states = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        states["random_cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore a saved random state. A CUDA device that it has no entry for is left unchanged."""
    torch.set_rng_state(states["random"])
    if device.type == "cuda" and "random_cuda" in states:
        torch.cuda.set_rng_state(states["random_cuda"], device)


class StateFolder:
    """The saved states of one run: the newest `keep` files `step_N.pt`."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep
        self._damaged: set[Path] = set()

    def tidy(self, fresh: bool = False) -> None:
        """Remove half-written files of a killed run and, if the run starts fresh, the output of the run before."""
        torn = (".step_*.pt.*", ".best.safetensors.*", ".final.safetensors.*", "panels/.step_*.png.*")
        old = ("step_*.pt", "best.safetensors", "events.out.tfevents.*", "panels/step_*.png", "certificate.*")
        for pattern in (*torn, *(old if fresh else ())):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def save(self, progress: Progress, parts: dict[str, Any]) -> Path | None:
        """Write a state and prune older ones. If the disk is full, log that, keep the older ones and return None.

        A damaged state does not count among those to keep, and goes once the run has passed it.
        """
        path = self.folder / f"step_{progress.step:08d}.pt"
        try:
            with replacing(path) as temporary:
                torch.save({"progress": asdict(progress), **parts}, temporary)
        except OutputError as error:
            log.error("the state was not saved: %s", error)
            return None
        self._damaged.discard(path)
        passed = [old for old in self._newest_first() if old.name <= path.name]  # a damaged one may be ahead
        whole = [old for old in passed if old not in self._damaged]
        for old in {*passed}.difference(whole[: self.keep]):
            old.unlink(missing_ok=True)
        return path

    def load(self, mapped: bool = False) -> tuple[Progress, dict[str, Any]] | None:
        """The newest readable state, or None if there are no files. Damaged files are logged and skipped.

        mapped: read each tensor when it is used instead of all at once, for copying them to another device.

        Raises:
            TrainingError: all files are damaged. To start over in silence would cost the best weights as well.
        """
        found = self._newest_first()
        for path in found:
            try:
                parts = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
                progress = parts.pop("progress")
                if "pictures" in progress:  # written by older versions
                    progress["samples"] = progress.pop("pictures")
                return Progress(**progress), parts
            except _UNREADABLE as error:
                log.warning("skipping the damaged state %s: %s", path, _reason(error))
                self._damaged.add(path)
        if found:
            raise TrainingError(
                f"no saved state in {self.folder} can be read: start over with resume=false, or choose another name"
            )
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"), reverse=True)


def _reason(error: Exception) -> str:
    """Why a state cannot be read. torch advises to read what is no PyTorch file without its safety check."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is no PyTorch file"
    return reason_of(error)
