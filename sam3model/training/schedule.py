"""Learning rate schedule, as a factor of the peak rate, and the current stage of the curriculum.

Progress is the fraction of the budget (steps or minutes) that is used up. With a budget of minutes, the total number of
steps is estimated as step / progress; with a budget of steps that is exact.
"""

import math
from collections.abc import Sequence

from sam3model.training.run_settings import ScheduleConfig, StageConfig


def factor(config: ScheduleConfig, step: int, progress: float) -> float:
    """Factor on the learning rate at a step.

    inverse_sqrt: 1 / sqrt((s + timescale - warmup) / timescale) after the warm-up, the official fine-tuning schedule.
    cosine: half a cosine from 1 to `final` over the progress. constant: 1.
    All are multiplied by a linear warm-up s / warmup and a linear cool-down (total - s) / cooldown, unless their length
    is 0.
    """
    value = 1.0
    if config.kind == "cosine":
        value = config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    elif config.kind == "inverse_sqrt" and step > config.warmup:
        value = 1 / math.sqrt((step + config.timescale - config.warmup) / config.timescale)
    if config.warmup:
        value *= min(1.0, step / config.warmup)
    if config.cooldown:
        total = step / progress if progress > 0 else 1.0
        value *= min(1.0, max(0.0, total - step) / config.cooldown)
    return value


def stage_at(stages: Sequence[StageConfig], progress: float) -> int:
    """Index of the stage of a run at this progress."""
    whole, passed = sum(stage.fraction for stage in stages), 0.0
    for index, stage in enumerate(stages):
        passed += stage.fraction
        if progress < passed / whole:
            return index
    return len(stages) - 1
