"""Training one model in several processes: their ranks, reductions over them, and DDP or FSDP2.

Each process, started by torchrun (or Slurm), takes an equal part of every batch. `ddp` keeps the whole model in each
process and averages gradients. `fsdp` (FSDP2) shards parameters, gradients and optimiser state, and gathers a block
when it runs.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from sam3model.devices import resolve_device
from sam3model.errors import ConfigError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)
Parallelism = Literal["ddp", "fsdp"]
_TIMEOUT = timedelta(hours=2)  # the other processes wait while the first one writes


@dataclass(frozen=True, slots=True)
class World:
    """This process among all: its rank, the number of processes, what they share, and its device."""

    rank: int = 0
    size: int = 1
    parallel: Parallelism = "ddp"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and logs."""
        return self.rank == 0

    def mean(self, value: float) -> float:
        """Mean over the processes; not finite if one value is not."""
        return value if self.size == 1 else self._reduced(value, dist.ReduceOp.SUM) / self.size

    def largest(self, value: float) -> float:
        """Maximum over the processes."""
        return value if self.size == 1 else self._reduced(value, dist.ReduceOp.MAX)

    def in_turn(self, values: list[T]) -> list[T]:
        """Values of all processes, interleaved in order of rank, in the first process; an empty list in the others."""
        if self.size == 1:
            return values
        parts: list[Any] | None = [None] * self.size if self.first else None
        dist.gather_object(values, parts)
        turns = itertools.zip_longest(*(parts or ()))
        return [value for turn in turns for value in turn if value is not None]

    def share(self, batch: int, accumulate: int = 1, setting: str = "stages.batch") -> int:
        """Samples of a batch per process, in `accumulate` chunks; raises `ConfigError` if it cannot be split evenly."""
        if batch % (self.size * accumulate):
            among = f"{self.size} processes" + f" with {accumulate} chunks each (optim.accumulate)" * (accumulate > 1)
            raise ConfigError(f"{setting} {batch} cannot be split evenly among {among}")
        return batch // self.size

    @property
    def uniform(self) -> bool:
        """Whether all processes must run the same modules, because each holds a shard of every one."""
        return self.size > 1 and self.parallel == "fsdp"

    def spread(self, model: nn.Module, shards: Iterable[nn.Module] = ()) -> nn.Module:
        """The module to call in a training step. With `fsdp` the parameters of `model` itself become shards.

        shards: submodules that are sharded, and gathered, one at a time.
        """
        if self.size == 1:
            return model
        if self.parallel == "ddp":
            devices = [self.device] if self.device.type == "cuda" else None
            return DistributedDataParallel(
                model, device_ids=devices, find_unused_parameters=True, gradient_as_bucket_view=True
            )
        return fully_sharded(model, shards)

    def _reduced(self, value: float, how: Any) -> float:
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared, how)
        return shared.item()


def fully_sharded(model: M, shards: Iterable[nn.Module]) -> M:
    """A model whose parameters are shards, gathered one of `shards` at a time. The processes must have joined."""
    for block in shards:
        fully_shard(block)
    fully_shard(model)
    return model


@contextlib.contextmanager
def joined(device: str, parallel: Parallelism) -> Iterator[World]:
    """Join the processes that torchrun started, over nccl or gloo. Without torchrun, a world of one process.

    Raises:
        InputError: the device is not available.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    target = resolve_device(device)
    if size == 1:
        yield World(device=target)
        return
    if target.type == "cuda":
        # a scheduler may make only one device visible to each process
        target = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(target)
    dist.init_process_group("nccl" if target.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield World(dist.get_rank(), size, parallel, target)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def whole(value: Any, then: Callable[[Tensor], Any] = lambda tensor: tensor) -> Any:
    """Nested values with every sharded tensor gathered. All processes must call this together.

    then: applied to each gathered tensor before the next one is gathered.
    """
    if isinstance(value, DTensor):
        return then(value.full_tensor())
    if isinstance(value, Mapping):
        return {key: whole(item, then) for key, item in value.items()}
    return [whole(item, then) for item in value] if isinstance(value, list) else value


def sharded(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Shard whole tensors like the tensors of the same names in `like`."""
    return {name: _as_shard(value, like[name]) for name, value in state.items()}


def sharded_optimizer(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Shard a whole optimiser state like the parameters of `optimizer`."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {
        index: {
            name: _as_shard(value, parameters[index]) if value.shape == parameters[index].shape else value
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    return {**state, "state": moments}


def _as_shard(value: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
