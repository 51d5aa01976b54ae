"""Several processes with one model: who they are, how they agree, and how the model is spread over them.

Started by torchrun (or Slurm through it), each process takes its share of every batch. `ddp` keeps the whole model in
each and averages gradients; `fsdp` (FSDP2) splits parameters, gradients and optimiser state, and gathers a block when
it runs. The model knows nothing of either.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from sam3model.data.queries import Batch
from sam3model.devices import resolve_device
from sam3model.errors import ConfigError
from sam3model.structures import GeometryPrompt

T = TypeVar("T")
Parallelism = Literal["ddp", "fsdp"]
_PATIENCE = timedelta(hours=2)  # the others wait while the first process writes


@dataclass(frozen=True, slots=True)
class World:
    """This process among all of them: its rank, their number, what they share, and its device."""

    rank: int = 0
    size: int = 1
    parallel: Parallelism = "ddp"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def mean(self, value: float) -> float:
        """Mean over the processes; not finite if one of them is not."""
        return value if self.size == 1 else self._reduced(value, dist.ReduceOp.SUM) / self.size

    def largest(self, value: float) -> float:
        """Largest over the processes."""
        return value if self.size == 1 else self._reduced(value, dist.ReduceOp.MAX)

    def in_turn(self, values: list[T]) -> list[T]:
        """Values of all processes, of which each made every `size`-th, in order, at the first one; none elsewhere."""
        if self.size == 1:
            return values
        parts: list[Any] | None = [None] * self.size if self.first else None
        dist.gather_object(values, parts)
        turns = itertools.zip_longest(*(parts or ()))
        return [value for turn in turns for value in turn if value is not None]

    def share(self, batch: int, accumulate: int = 1) -> int:
        """How many of a batch's pictures each process takes, in `accumulate` chunks.

        Raises:
            ConfigError: they cannot be split evenly.
        """
        if batch % (self.size * accumulate):
            among = f"{self.size} processes" + f", {accumulate} chunks each (optim.accumulate)" * (accumulate > 1)
            raise ConfigError(f"stages: a batch of {batch} pictures cannot be split among {among}")
        return batch // self.size

    @property
    def uniform(self) -> bool:
        """Whether every process must run the same parts of the model, since each holds a piece of all parts."""
        return self.size > 1 and self.parallel == "fsdp"

    def spread(self, model: nn.Module) -> nn.Module:
        """What to call for a training step. With `fsdp` the parameters of `model` itself become shards."""
        if self.size == 1:
            return model
        if self.parallel == "ddp":
            devices = [self.device] if self.device.type == "cuda" else None
            return DistributedDataParallel(
                model, device_ids=devices, find_unused_parameters=True, gradient_as_bucket_view=True
            )
        for part in ("vision.trunk.blocks", "text.encoder.transformer.resblocks", "fusion.layers", "decoder.layers"):
            for block in model.get_submodule(part).children():
                fully_shard(block)
        fully_shard(model)
        return model

    def prepared(self, batch: Batch) -> Batch:
        """The batch on this process's device; where all run the same parts, with a box prompt, if only a padded one."""
        batch = batch.to(self.device)
        if not self.uniform or batch.geometry is not None:
            return batch
        return replace(batch, geometry=GeometryPrompt.blank(len(batch.ids), boxes=1, device=batch.ids.device))

    def _reduced(self, value: float, how: Any) -> float:
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(shared, how)
        return shared.item()


@contextlib.contextmanager
def joined(device: str, parallel: Parallelism) -> Iterator[World]:
    """Join the processes that torchrun started, over nccl or gloo; alone without it.

    Raises:
        InputError: no such device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    target = resolve_device(device)
    if size == 1:
        yield World(device=target)
        return
    if target.type == "cuda":
        # a scheduler may show each process its own device alone
        target = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(target)
    dist.init_process_group("nccl" if target.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield World(dist.get_rank(), size, parallel, target)
        dist.barrier()
    finally:
        dist.destroy_process_group()


def whole(value: Any, then: Callable[[Tensor], Any] = lambda tensor: tensor) -> Any:
    """Nested values with every shard gathered into a whole tensor; all processes must call this together.

    then: what becomes of each gathered tensor before the next one is.
    """
    if isinstance(value, DTensor):
        return then(value.full_tensor())
    if isinstance(value, Mapping):
        return {key: whole(item, then) for key, item in value.items()}
    return [whole(item, then) for item in value] if isinstance(value, list) else value


def drop(_: Tensor) -> None:
    """Forget a tensor: one process needs it, and this is another."""


def sharded(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors as the shards that `like` holds under the same names."""
    return {name: _as_shard(value, like[name]) for name, value in state.items()}


def sharded_optimizer(state: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A whole optimiser state as the shards that the optimiser's parameters are."""
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
