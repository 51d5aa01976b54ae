"""The state of a run on disk: written atomically, the newest readable one found again, old ones pruned."""

import logging
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam3model.errors import ConfigError, OutputError
from sam3model.files import replacing
from sam3model.training.config import TrainConfig

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
    """How far a run is: steps and pictures done, seconds spent, non-finite steps in a row and in all."""

    step: int = 0
    pictures: int = 0
    prompts: int = 0
    seconds: float = 0.0
    bad_in_a_row: int = 0
    bad_steps: int = 0


def own_folder(config: TrainConfig) -> Path:
    """The folder of a run, made before anything is computed for it.

    Raises:
        ConfigError: it cannot be made.
    """
    folder = Path(config.out) / config.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out: cannot make the folder {folder}: {error.strerror}") from None
    return folder


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where the random numbers of the processor, and of a CUDA device, have got to."""
    states = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        states["random_cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Go on with the random numbers of a saved state; a device that it knows nothing of keeps its own."""
    torch.set_rng_state(states["random"])
    if device.type == "cuda" and "random_cuda" in states:
        torch.cuda.set_rng_state(states["random_cuda"], device)


class StateFolder:
    """The checkpoints of one run: `step_N.pt`, the newest `keep` of them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def tidy(self, anew: bool = False) -> None:
        """Remove what a kill while writing left behind; if the run begins `anew`, what would mix with it too."""
        old = ("step_*.pt", "best.safetensors", "events.out.tfevents.*", "panels/step_*.png") if anew else ()
        for pattern in (".step_*.pt.*", *old):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def save(self, progress: Progress, parts: dict[str, Any]) -> Path | None:
        """Write a state and prune older ones; a full disk is logged, not fatal, and leaves the older ones in place."""
        path = self.folder / f"step_{progress.step:08d}.pt"
        try:
            with replacing(path) as temporary:
                torch.save({"progress": asdict(progress), **parts}, temporary)
        except OutputError as error:
            log.error("no checkpoint: %s", error)
            return None
        for old in self._newest_first()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def load(self, mapped: bool = False) -> tuple[Progress, dict[str, Any]] | None:
        """The newest state that can be read, or None; a torn file is named in the log and passed over.

        mapped: read a tensor when it is used, not all into memory: for those who copy each to another device.
        """
        for path in self._newest_first():
            try:
                parts = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
                return Progress(**parts.pop("progress")), parts
            except _UNREADABLE as error:
                log.warning("passing over the damaged checkpoint %s: %s", path, str(error).splitlines()[0])
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"), reverse=True)
