"""Strict, memory-mapped loading: every tensor is accounted for, and none is held twice."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from sam3model.build import Sam3Model, build
from sam3model.checkpoint.hub import find_weights
from sam3model.checkpoint.layouts import DETECTOR, Layout, Recognised, entries_of, is_recomputed, recognise
from sam3model.checkpoint.name_tables import EXTRA_PREFIX, Entry, class_row_name, row_of
from sam3model.checkpoint.tensor_files import TensorFile, open_tensors
from sam3model.config import IMAGE_PARTS, Sam3Config
from sam3model.errors import CheckpointError

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every tensor of a weights file.

    parts: the parts that were loaded. loaded: number of native tensors filled. unused: number of tensors of parts and
    neck heads that were not built.
    recomputed: number of tables that every model computes itself.
    absent: native tensors that transformers' layout has no place for, set to zero (`points_*` projections).
    """

    source: str
    layout: Layout
    parts: tuple[str, ...]
    loaded: int
    unused: int
    recomputed: int
    absent: tuple[str, ...]
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        parts = [f"{self.source}: {self.layout.value} layout, {self.loaded} tensors loaded"]
        if self.unused:
            parts.append(f"{self.unused} tensors of other parts left out")
        if self.recomputed:
            parts.append(f"{self.recomputed} tables recomputed")
        if self.absent:
            parts.append(f"{len(self.absent)} tensors missing in this layout set to zero (point prompts are disabled)")
        return "; ".join(parts)


def load(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: Sam3Config | None = None,
    parts: Collection[str] | None = IMAGE_PARTS,
) -> Sam3Model:
    """Load a model in evaluation mode. See `load_with_report`."""
    return load_with_report(name_or_path, device=device, dtype=dtype, config=config, parts=parts)[0]


def load_with_report(
    name_or_path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    config: Sam3Config | None = None,
    parts: Collection[str] | None = IMAGE_PARTS,
) -> tuple[Sam3Model, LoadReport]:
    """Load a model in evaluation mode, with a report on every tensor of the file.

    Args:
        name_or_path: `tiny`, a hub repository such as `facebook/sam3`, an official `sam3.pt`, a folder or file saved by
            transformers, or a file of ours.
        device: where the tensors go, one at a time.
        dtype: floating-point type of the weights; None keeps the file's, or the widest one if it has several.
        config: configuration to use instead of the one in the file (or, for an official file, the released one).
        parts: which parts to load, each with those that it needs: `detector` (images and phrases, the default),
            `interactive` (clicks on one object), `tracker`, `video`. None loads every part that the file has.

    Raises:
        CheckpointError: a missing, unexpected, misshapen or non-finite tensor (it is named), an unreadable file, or a
            part that the file lacks.
        ConfigError: an unknown part, or one without another that it needs.
    """
    file = open_tensors(find_weights(name_or_path))
    recognised = recognise(file, config, parts, str(name_or_path))
    with torch.device("meta"):
        model = build(recognised.config, parts=None)
    wanted = model.state_dict()
    entries = entries_of(recognised.layout, recognised.prefix, wanted, recognised.old_names)
    unused, recomputed = _account(file, recognised, entries)
    exact = {name for name, _ in model.named_buffers()}
    state = {}
    for entry in entries:
        tensor = _read(file, entry)
        if tensor is not None:
            _check(file, entry, tensor, wanted[entry.native])
            cast = tensor.is_floating_point() and entry.native not in exact
            state[entry.native] = tensor.to(device=device, dtype=dtype if cast else None)
    common = _unify(state, exact)
    absent = tuple(entry.native for entry in entries if entry.native not in state)
    state |= {name: torch.zeros(wanted[name].shape, dtype=common, device=device) for name in absent}
    model.load_state_dict(state, assign=True)
    loaded, built = len(entries) - len(absent), recognised.config.parts
    report = LoadReport(str(name_or_path), recognised.layout, built, loaded, unused, recomputed, absent, file.metadata)
    _LOGGER.info("%s", report)
    return model.eval(), report


def read_config(name_or_path: str | Path) -> Sam3Config:
    """The configuration of all parts that these weights have; raises `CheckpointError`. No tensor is read."""
    return recognise(open_tensors(find_weights(name_or_path)), parts=None).config


def _account(file: TensorFile, recognised: Recognised, entries: list[Entry]) -> tuple[int, int]:
    """Numbers of unused and of recomputed tensors; raises if others are missing or unexpected."""
    expected = {name for entry in entries for name in entry.foreign}
    optional = {name for name in expected if EXTRA_PREFIX + "geometry.points_" in name}
    optional |= {name for entry in entries if entry.transform == "repeated" for name in entry.foreign[1:]}
    missing = sorted(expected - optional - set(file))
    left = set(file) - expected
    unused = {name for name in left if recognised.is_unused(name)}
    recomputed = {name for name in left - unused if is_recomputed(name)}
    class_rows = {_class_row(entry) for entry in entries if entry.transform == "drop_first_row"}
    unexpected = sorted(left - unused - recomputed - class_rows)
    if missing or unexpected:
        faults = [_list("missing", missing), _list("unexpected", unexpected)]
        raise CheckpointError(
            f"{file.location} does not fit the model: {'; '.join(fault for fault in faults if fault)}"
        )
    return len(unused), len(recomputed)


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
    if entry.transform == "row":
        return tensor[(row := row_of(entry.native)) : row + 1]
    if entry.transform == "repeated" and any(
        not tensor.equal(file[name]) for name in entry.foreign[1:] if name in file
    ):
        raise CheckpointError(f"{file.location} is damaged: {' and '.join(entry.foreign)} differ")
    if entry.transform == "drop_first_row":
        row = _class_row(entry)
        first = file[row] if row in file else tensor.new_zeros(1, 1, tensor.shape[-1])
        return torch.cat([first, tensor], dim=1)
    return tensor


def _class_row(entry: Entry) -> str:
    return class_row_name(entry.native.removeprefix(DETECTOR))


def _check(file: TensorFile, entry: Entry, found: Tensor, wanted: Tensor) -> None:
    name = entry.foreign[0]
    if found.shape != wanted.shape:
        raise CheckpointError(
            f"{file.location} does not fit the model: {name} has shape {tuple(found.shape)}, "
            f"expected {tuple(wanted.shape)}"
        )
    if found.is_floating_point() and not torch.stack(found.aminmax()).isfinite().all():
        raise CheckpointError(f"{file.location} is damaged: {name} contains NaN or infinity")


def _unify(state: dict[str, Tensor], exact: set[str]) -> torch.dtype:
    """Cast floating-point tensors to the widest type among them, in place, except `exact` ones, and return it."""
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point() and name not in exact}
    common = reduce(torch.promote_types, {tensor.dtype for tensor in floats.values()})
    state.update({name: tensor.to(common) for name, tensor in floats.items()})
    return common
