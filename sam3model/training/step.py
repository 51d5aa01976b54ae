"""One training step: forward, loss, backward, check for non-finite values, update."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sam3model.training.parallel import whole
from sam3model.training.run_settings import OptimConfig
from sam3model.training.task import Task


@dataclass(frozen=True, slots=True)
class StepReport:
    """Outcome of a step: the loss, its unweighted parts and the norm of the gradient before clipping.

    loss: on the scale of the validation loss. objective: what was minimised.
    bad: what was not finite and for which samples; None if everything was finite.
    """

    loss: float
    parts: dict[str, float]
    grad_norm: float
    bad: str | None = None
    objective: float = math.nan


def train_step(
    network: nn.Module,
    task: Task[Any, Any],
    optimizer: torch.optim.Optimizer,
    batch: Any,
    config: OptimConfig,
    step: int = 0,
) -> StepReport:
    """Train on a batch in `config.accumulate` chunks. A non-finite loss or gradient leaves the weights unchanged.

    The loss is averaged over the processes of `task.world`, so all of them see the same value and stop together.
    """
    optimizer.zero_grad(set_to_none=True)
    total, loss, parts = 0.0, 0.0, {}
    for chunk in task.chunks(batch, config.accumulate):
        terms = task.loss(network, chunk, step)
        own = terms.total.item()
        value = task.world.mean(own)
        total += value / config.accumulate
        shown = value if terms.comparable is None else task.world.mean(terms.shown)
        loss += shown / config.accumulate
        if not math.isfinite(value):
            culprit = "in another process" if math.isfinite(own) else f"of {task.describe(chunk)}"
            return StepReport(total, {}, math.nan, f"loss {culprit}", total)
        (terms.total / config.accumulate).backward()
        for name, part in terms.losses.items():
            parts[name] = parts.get(name, 0.0) + part.item() / config.accumulate
    norm = clip_gradients(network, config.clip)
    if not math.isfinite(norm):
        return StepReport(loss, parts, norm, f"gradient of {task.describe(batch)}", total)
    optimizer.step()
    return StepReport(loss, parts, norm, objective=total)


def clip_gradients(model: nn.Module, limit: float | None) -> float:
    """Scale all gradients to a joint norm of at most `limit` (None: no limit). Returns the norm before scaling."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), limit, norm)
    return whole(norm).item()
