"""The result of a criterion, and means over the processes of a distributed run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The result of a criterion.

    total: weighted sum, a scalar with gradient. losses: its parts before weighting, detached. metrics: values for the
    log only. comparable: the part of the total that is the same in training and validation and for any number of
    prompts, detached; None: the total is.
    """

    total: Tensor
    losses: dict[str, Tensor]
    metrics: dict[str, Tensor] = field(default_factory=dict)
    comparable: Tensor | None = None

    @property
    def compared(self) -> Tensor:
        """What is comparable with validation: a part of the total, or all of it."""
        return self.total if self.comparable is None else self.comparable

    @property
    def shown(self) -> float:
        """The loss that logs show."""
        return self.compared.item()

    @classmethod
    def weighted(
        cls, losses: Mapping[str, Tensor], weights: Mapping[str, float], metrics: Mapping[str, Tensor] | None = None
    ) -> "LossTerms":
        """Sum `losses` with the `weights` of the same names, and keep detached copies for the log."""
        total = torch.stack([value * weights[name] for name, value in losses.items()]).sum()
        return cls(
            total, {k: v.detach() for k, v in losses.items()}, {k: v.detach() for k, v in (metrics or {}).items()}
        )


def ranks() -> int:
    """Number of processes of a distributed run; 1 outside of one."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_ranks(count: Tensor) -> Tensor:
    """Mean over the processes of a distributed run; the value itself in a single process."""
    if ranks() == 1:
        return count
    total = count.clone()
    dist.all_reduce(total)
    return total / ranks()
