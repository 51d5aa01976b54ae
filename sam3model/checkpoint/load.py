"""Loading weights strictly: every tensor accounted for, memory-mapped, never two copies."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sam3model.build import build
from sam3model.checkpoint.files import TensorFile, open_tensors
from sam3model.checkpoint.hub import find_weights
from sam3model.checkpoint.layouts import Layout, Recognised, entries_of, is_recomputed, is_tracker, recognise
from sam3model.checkpoint.tables import EXTRA_PREFIX, Entry
from sam3model.config import DetectorConfig
from sam3model.detector.model import Sam3ImageModel
from sam3model.errors import CheckpointError

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every tensor of a weights file.

    loaded: native tensors filled. tracker: tensors of the video tracker, recognised and not used yet.
    recomputed: tables that every build computes itself.
    absent: native tensors that transformers' layout cannot hold, set to zero (`points_*` projections).
    """

    source: str
    layout: Layout
    loaded: int
    tracker: int
    recomputed: int
    absent: tuple[str, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        parts = [f"{self.source}: {self.layout.value} layout, {self.loaded} tensors loaded"]
        if self.tracker:
            parts.append(f"{self.tracker} tracker tensors recognised, not used yet")
        if self.recomputed:
            parts.append(f"{self.recomputed} tables recomputed")
        if self.absent:
            parts.append(f"{len(self.absent)} tensors this layout does not carry set to zero (point prompts are off)")
        return "; ".join(parts)


def load(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: DetectorConfig | None = None,
) -> Sam3ImageModel:
    """Load an image model, ready for inference. See `load_with_report`."""
    return load_with_report(name_or_path, device=device, dtype=dtype, config=config)[0]


def load_with_report(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: DetectorConfig | None = None,
) -> tuple[Sam3ImageModel, LoadReport]:
    """Load an image model in evaluation mode and say what became of every tensor.

    Args:
        name_or_path: `tiny`, a hub repository such as `facebook/sam3`, an official `sam3.pt`, a folder or file saved by
            transformers, or one of our own.
        device: where the tensors go, one at a time.
        dtype: floating-point type of the weights; None keeps the file's.
        config: sizes to use instead of those the file states (or, for an official file, the released ones).

    Raises:
        CheckpointError: a tensor missing, unexpected or misshapen (it is named), or a file that cannot be read.
    """
    file = open_tensors(find_weights(name_or_path))
    recognised = recognise(file, config)
    with torch.device("meta"):
        model = build(recognised.config)
    wanted = model.state_dict()
    entries = entries_of(recognised.layout, recognised.prefix, wanted)
    tracker, recomputed = _account(file, recognised, entries)
    state: dict[str, Tensor] = {}
    absent = []
    for entry in entries:
        tensor = _read(file, entry)
        if tensor is None:
            tensor = torch.zeros(wanted[entry.native].shape, dtype=next(iter(state.values())).dtype)
            absent.append(entry.native)
        _check_shape(file, entry, tensor, wanted[entry.native])
        state[entry.native] = tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
    model.load_state_dict(state, assign=True)
    loaded = len(entries) - len(absent)
    report = LoadReport(str(name_or_path), recognised.layout, loaded, tracker, recomputed, tuple(absent), file.metadata)
    _LOGGER.info("%s", report)
    return model.eval(), report


def _account(file: TensorFile, recognised: Recognised, entries: list[Entry]) -> tuple[int, int]:
    """Raise unless the file's tensors are those that `entries` ask for, besides known leftovers; count these."""
    asked = {name for entry in entries for name in entry.foreign}
    optional = {name for name in asked if EXTRA_PREFIX + "geometry.points_" in name}
    missing = sorted(asked - optional - set(file))
    left = set(file) - asked
    tracker = {name for name in left if is_tracker(name, recognised)}
    recomputed = {name for name in left - tracker if is_recomputed(name)}
    class_rows = {class_row_name(entry) for entry in entries if entry.transform == "drop_first_row"}
    unexpected = sorted(left - tracker - recomputed - class_rows)
    if missing or unexpected:
        faults = [_list("missing", missing), _list("unexpected", unexpected)]
        raise CheckpointError(
            f"{file.location} does not fit the model: {'; '.join(fault for fault in faults if fault)}"
        )
    return len(tracker), len(recomputed)


def _list(what: str, names: list[str], shown: int = 3) -> str:
    if not names:
        return ""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{what} {', '.join(names[:shown])}{more}"


def _read(file: TensorFile, entry: Entry) -> Tensor | None:
    """The native tensor of an entry, or None if this layout has no place for it."""
    if entry.foreign[0] not in file:
        return None
    if entry.transform == "split3":
        return torch.cat([file[name] for name in entry.foreign])
    tensor = file[entry.foreign[0]]
    if entry.transform == "transpose":
        return tensor.t().contiguous()
    if entry.transform == "drop_first_row":
        row = class_row_name(entry)
        first = file[row] if row in file else tensor.new_zeros(1, 1, tensor.shape[-1])
        return torch.cat([first, tensor], dim=1)
    return tensor


def class_row_name(entry: Entry) -> str:
    """Where the class row of the position table travels in transformers' layout, which has no place for it."""
    return f"{EXTRA_PREFIX}{entry.native}.class_row"


def _check_shape(file: TensorFile, entry: Entry, found: Tensor, wanted: Tensor) -> None:
    if found.shape != wanted.shape:
        raise CheckpointError(
            f"{file.location} does not fit the model: {entry.foreign[0]} gives a tensor of shape {tuple(found.shape)}, "
            f"but {tuple(wanted.shape)} is needed"
        )
