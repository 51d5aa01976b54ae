"""Strict reading: every tensor of a file is accounted for and checked, and none is held twice."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import reduce

import torch
from torch import Tensor, nn

from sam3model.checkpoint.layouts import DETECTOR, Recognised, is_recomputed
from sam3model.checkpoint.name_tables import EXTRA_PREFIX, Entry, class_row_name, row_of
from sam3model.checkpoint.tensor_files import TensorFile
from sam3model.errors import CheckpointError

Keep = Callable[[str, Tensor], Mapping[str, Tensor]]
"""What is kept of a tensor of the model: a name and a tensor to the names and tensors that stand for it."""

_SLACK = 1 << 24
"""How many numbers a tensor may have more than what is read from it, as a table of which one row is read."""


def account(file: TensorFile, recognised: Recognised, entries: list[Entry]) -> tuple[int, int]:
    """Numbers of unused and of recomputed tensors; raises `CheckpointError` if others are missing or unexpected."""
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


def read_all(
    file: TensorFile,
    entries: list[Entry],
    wanted: Mapping[str, Tensor],
    device: torch.device | str,
    dtype: torch.dtype | None,
    keep: Keep | None = None,
) -> dict[str, Tensor]:
    """The native tensors of entries by name, checked against the shapes of `wanted` and moved one at a time.

    wanted: parameters and buffers of the model, `state_dict(keep_vars=True)`.
    Those that the layout has no place for are missing. Parameters get the type `dtype`, or if that is None, the widest
    one among them; buffers keep theirs. keep: applied to each tensor as soon as it is read; needs `dtype`.

    Raises:
        CheckpointError: a misshapen, damaged or non-finite tensor.
    """
    exact = {name for name, tensor in wanted.items() if not isinstance(tensor, nn.Parameter)}
    rows = Counter(entry.foreign[0] for entry in entries if entry.transform == "row")
    state = {}
    for entry in entries:
        tensor = _read_checked(file, entry, rows[entry.foreign[0]], wanted[entry.native])
        if tensor is not None:
            _check(file, entry, tensor, wanted[entry.native])
            cast = tensor.is_floating_point() and entry.native not in exact
            tensor = tensor.to(device=device, dtype=dtype if cast else None)
            state |= {entry.native: tensor} if keep is None else keep(entry.native, tensor)
    if dtype is None:
        _unify(state, exact)
    return state


_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def _read_checked(file: TensorFile, entry: Entry, rows: int, wanted: Tensor) -> Tensor | None:
    """`read_tensor` of tensors whose kind and size are checked before they are joined or copied."""
    for name in entry.foreign:
        if name in file:
            _check_kind(file, name, wanted)
    try:
        return read_tensor(file, entry, rows)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file.location} does not fit the model: {entry.foreign[0]} has a wrong shape"
        ) from error


def _check_kind(file: TensorFile, name: str, wanted: Tensor) -> None:
    tensor = file[name]
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise CheckpointError(f"{file.location}: {name} is a sparse or quantised tensor: save it as float16 or float32")
    if wanted.is_floating_point() and tensor.dtype not in _FLOATS:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(f"{file.location}: {name} holds {kind} numbers: save it as bfloat16, float16 or float32")
    if tensor.numel() > 2 * wanted.numel() + _SLACK:
        raise CheckpointError(f"{file.location} does not fit the model: {name} has shape {tuple(tensor.shape)}")


def read_tensor(file: TensorFile, entry: Entry, rows: int = 0) -> Tensor | None:
    """The native tensor of an entry, or None if this layout has no place for it. rows: expected rows of a table."""
    if entry.foreign[0] not in file:
        return None
    if entry.transform == "split3":
        return torch.cat([file[name] for name in entry.foreign])
    tensor = file[entry.foreign[0]]
    if entry.transform == "transpose":
        return tensor.t().contiguous()
    if entry.transform == "row":
        row = row_of(entry.native)
        return tensor[row : row + 1] if len(tensor) == rows else tensor  # the latter has a wrong shape
    if entry.transform == "repeated" and not all(tensor.equal(file[name]) for name in entry.foreign if name in file):
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


def _unify(state: dict[str, Tensor], exact: set[str]) -> None:
    """Cast floating-point tensors to the widest type among them, in place, except `exact` ones."""
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point() and name not in exact}
    common = reduce(torch.promote_types, {tensor.dtype for tensor in floats.values()})
    state.update({name: tensor.to(common) for name, tensor in floats.items()})
