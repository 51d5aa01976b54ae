"""One training step: forward, loss, backward, guard, update."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sam3model.data.queries import Batch, split
from sam3model.losses.terms import LossTerms
from sam3model.structures import Correction, Detections
from sam3model.targets import Targets
from sam3model.training.config import OptimConfig
from sam3model.training.parallel import World, whole

Loss = Callable[[Detections, Targets], LossTerms]
Interaction = Callable[[Batch], Sequence[Correction]]
"""The corrections after each of which a batch is asked once more."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step says: the loss, its unweighted parts, the gradient's norm before clipping, what was not finite."""

    loss: float
    parts: dict[str, float]
    grad_norm: float
    bad: str | None = None


def train_step(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: OptimConfig,
    precision: torch.dtype = torch.float32,
    world: World | None = None,
    interaction: Interaction | None = None,
) -> StepReport:
    """Learn from a batch in `config.accumulate` chunks. A non-finite loss or gradient leaves the weights as they are.

    The forward pass runs under autocast to `precision`, the loss in float32. `world` shares the work: the loss is then
    the mean of all processes' losses, so that one of them cannot go on where another stops. With an `interaction`, the
    loss is that of all its passes together.
    """
    world = world or World()
    optimizer.zero_grad(set_to_none=True)
    total, parts = 0.0, {}
    for chunk in split(batch, config.accumulate):
        corrections = interaction(chunk) if interaction else ()
        terms = evaluate(model, loss, chunk, precision, int(world.uniform), corrections)[1]
        own = terms.total.item()
        value = world.mean(own)
        total += value / config.accumulate
        if not math.isfinite(value):
            return StepReport(total, {}, math.nan, f"loss {_where(chunk, math.isfinite(own))}")
        (terms.total / config.accumulate).backward()
        for name, part in terms.losses.items():
            parts[name] = parts.get(name, 0.0) + part.item() / config.accumulate
    norm = clip_gradients(model, config.clip)
    if not math.isfinite(norm):
        return StepReport(total, parts, norm, f"gradient {_where(batch)}")
    optimizer.step()
    return StepReport(total, parts, norm)


def _where(batch: Batch, elsewhere: bool = False) -> str:
    return "in another process" if elsewhere else f"of {', '.join(batch.names)} ({'; '.join(batch.phrases)})"


def evaluate(
    model: nn.Module,
    loss: Loss,
    batch: Batch,
    precision: torch.dtype,
    masks_at_least: int = 0,
    corrections: Sequence[Correction] = (),
) -> tuple[Detections, LossTerms]:
    """Detections in float32 and their loss. In training, masks are made only for prompts whose targets have some.

    masks_at_least: so many of the first prompts get masks in any case. corrections: see `Sam3ImageModel.forward`.
    """
    detections = detect(model, batch, precision, masks_at_least, corrections)
    return detections, loss(detections, batch.targets)


def detect(
    model: nn.Module,
    batch: Batch,
    precision: torch.dtype,
    masks_at_least: int = 0,
    corrections: Sequence[Correction] = (),
) -> Detections:
    """Detections alone, as `evaluate` says."""
    device, outlined = batch.pixels.device, batch.targets.outlined() if model.training else None
    if outlined is not None:
        outlined[:masks_at_least] = True
    with torch.autocast(device.type, dtype=precision, enabled=precision is not torch.float32):
        detections = model(batch.pixels, batch.ids, batch.geometry, batch.image_index, outlined, corrections)
    return in_float32(detections)


def clip_gradients(model: nn.Module, limit: float | None) -> float:
    """Scale all gradients down to a joint norm of `limit` (None: leave them) and return the norm before."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), limit, norm)
    return whole(norm).item()


def in_float32(value: Any) -> Any:
    """The floating-point tensors of (nested) dataclasses and tuples, as float32."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{item.name: in_float32(getattr(value, item.name)) for item in fields(value)})
    return tuple(in_float32(item) for item in value) if isinstance(value, tuple) else value
