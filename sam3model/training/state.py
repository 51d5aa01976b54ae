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

from sam3model.errors import OutputError
from sam3model.files import replacing

log = logging.getLogger(__name__)

_UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


@dataclass(slots=True)
class Progress:
    """How far a run is: steps and pictures done, seconds spent, non-finite steps in a row and in all, best metric."""

    step: int = 0
    pictures: int = 0
    prompts: int = 0
    seconds: float = 0.0
    bad_in_a_row: int = 0
    bad_steps: int = 0
    best: float | None = None


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

    def load(self) -> tuple[Progress, dict[str, Any]] | None:
        """The newest state that can be read, or None; a torn file is named in the log and passed over."""
        for path in self._newest_first():
            try:
                parts = torch.load(path, map_location="cpu", weights_only=True)
                return Progress(**parts.pop("progress")), parts
            except _UNREADABLE as error:
                log.warning("passing over the damaged checkpoint %s: %s", path, str(error).splitlines()[0])
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step_*.pt"), reverse=True)
