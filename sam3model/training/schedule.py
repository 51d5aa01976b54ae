"""Learning rate over a run, as a factor of its top, and the curriculum's place at a given progress.

Progress is the share of the budget (steps or minutes) that is used up, in 0..1. Under a budget of minutes the length of
a run in steps is not known, so it is estimated as step / progress, which is exact under a budget of steps.
"""

import math
from collections.abc import Sequence

from sam3model.training.config import CurriculumStage, ScheduleConfig


def factor(config: ScheduleConfig, step: int, progress: float) -> float:
    """What the rate is multiplied by at an iteration.

    inverse_sqrt: 1 / sqrt((s + timescale - warmup) / timescale) after the warm-up, the official fine-tuning schedule.
    cosine: half a cosine from 1 to `final` over the progress. constant: 1.
    Each times the linear warm-up s / warmup and the linear cool-down (total - s) / cooldown, left out at length 0.
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


def stage_at(stages: Sequence[CurriculumStage], progress: float) -> int:
    """Index of the stage that a run is in after `progress` of its budget."""
    whole, passed = sum(stage.share for stage in stages), 0.0
    for index, stage in enumerate(stages):
        passed += stage.share
        if progress < passed / whole:
            return index
    return len(stages) - 1
