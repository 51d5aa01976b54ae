"""A pretended GPU: tensors on it hold numbers of the CPU, and refuse to meet tensors of the CPU.

Operations of several tensors fail as on a real device if these are on different ones. So a whole pipeline can be run,
with real numbers and on the branches for accelerators, on a machine without any. What it cannot show is in CUDA's own
kernels: their speed, their rounding, and shapes or types that they lack.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

GPU = torch.device("privateuseone", 0)
CPU = torch.device("cpu")
aten = torch.ops.aten

_COPIES = {aten.copy_.default, aten._to_copy.default}
_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
_ANSWERS = {aten._local_scalar_dense.default, aten.equal.default}
_COUNTED = {aten.nonzero.default, aten.unique_dim.default, aten._unique2.default, aten.repeat_interleave.Tensor}
"""Operations whose result has a size that the CPU must wait for."""


class GpuTensor(Tensor):
    """A tensor on the pretended device. held: its numbers."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> "GpuTensor":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=GPU
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def tolist(self) -> Any:
        """torch refuses this to subclasses, but a CUDA tensor has it."""
        return self.cpu().tolist()

    def __deepcopy__(self, memo: Any) -> "GpuTensor":
        return GpuTensor(self.held.clone())

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of the pretended device")


class PretendedGpu(TorchDispatchMode):
    """Runs operations on the held numbers and checks devices. waits: how often the CPU had to wait, by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if _consists_of_others(func):  # in inference mode, such operations arrive
            with self:
                return func.decompose(*args, **kwargs)
        tensors = [*_tensors(args), *_tensors(kwargs.values())]
        wanted = kwargs.get("device")
        if wanted is not None:
            kwargs["device"] = CPU
        device = self._device(func, args, tensors, None if wanted is None else torch.device(wanted))
        out = func(*map(_held, args), **{name: _held(value) for name, value in kwargs.items()})
        if device.type == "cpu" or func in _ANSWERS:
            return out
        with torch.inference_mode(False):  # views of parameters must not be inference tensors
            wrapped = _on_gpu(out)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if _aliases(func) else wrapped

    def _device(self, func: Any, args: Any, tensors: list[Tensor], wanted: torch.device | None) -> torch.device:
        """Where the result is. Raises `RuntimeError` for tensors on different devices."""
        gpu = any(isinstance(one, GpuTensor) for one in tensors)
        if gpu and (func in _ANSWERS or func in _COUNTED or (wanted is not None and wanted.type == "cpu")):
            self.waits[str(func)] += 1
        if func in _COPIES:
            return tensors[0].device if wanted is None else wanted
        met = [args[0], *args[2:]] if func in _INDEXED else tensors  # an index may be on the CPU
        others = [one for one in _tensors(met) if not isinstance(one, GpuTensor)]
        if gpu and any(one.ndim for one in others):
            raise RuntimeError(f"{func} of tensors on the CPU and on the GPU: {[tuple(one.shape) for one in tensors]}")
        return wanted or (GPU if gpu else CPU)


@cache
def _consists_of_others(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


@cache
def _aliases(func: Any) -> bool:
    """Whether it returns views or writes to its arguments."""
    return any(one.alias_info is not None for one in (*func._schema.arguments, *func._schema.returns))


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among arguments of an operation, and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _on_gpu(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_on_gpu(one) for one in value)
    return GpuTensor(value) if isinstance(value, Tensor) else value


def _held(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_held(one) for one in value)
    return value.held if isinstance(value, GpuTensor) else value


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False
) -> Tensor:
    """What CUDA's kernels compute, from operations that the pretended device has."""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return F.dropout(scores.softmax(-1), dropout) @ value


class _Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def register() -> None:
    """Make the device known, for the rest of the process. Before any backward pass, which counts the devices."""
    backend_registration._setup_privateuseone_for_python_backend("pretended", backend_module=_Backend())


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """A machine with the pretended device, which is registered, while the context lasts."""
    with pytest.MonkeyPatch.context() as patch, PretendedGpu() as mode:
        patch.setattr(F, "scaled_dot_product_attention", _attention)
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        try:
            yield mode
        finally:
            torch._C._set_only_lift_cpu_tensors(before)


def on_gpu(module: torch.nn.Module) -> torch.nn.Module:
    """Put the parameters and buffers of a module on the pretended device, in place."""
    for own in module.modules():
        for name, parameter in own._parameters.items():
            if parameter is not None:
                trained = parameter.requires_grad
                own._parameters[name] = torch.nn.Parameter(GpuTensor(parameter.detach()), requires_grad=trained)
        for name, buffer in own._buffers.items():
            if buffer is not None:
                own._buffers[name] = GpuTensor(buffer)
    return module
