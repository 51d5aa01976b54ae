"""Settings of a run that hold for any task: budget, optimiser, schedule, checkpoints."""

from dataclasses import dataclass, field
from typing import Literal

from sam3model.errors import ConfigError
from sam3model.training.limits import (
    require_above_zero,
    require_decay,
    require_folder_name,
    require_fraction,
    require_not_negative,
)


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage of the curriculum.

    fraction: of the budget, relative to the other stages. batch: samples per step, over all processes together.
    lr_scale multiplies every learning rate.
    """

    fraction: float = 1.0
    batch: int = 8
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        require_above_zero(self, "stages", "fraction", "batch")
        require_not_negative(self, "stages", "lr_scale")


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """When the run ends: after a number of steps, or of minutes (validation included). Give exactly one of them."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("budget: give either steps or minutes, and set the other one to null")
        require_above_zero(self, "budget", "steps", "minutes")


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """AdamW. `rates` maps prefixes of parameter names to learning rates that replace `lr`; the longest prefix wins.

    layer_decay: the rate of trunk block i is multiplied by layer_decay ** (depth - i); the position table keeps its
    rate. Biases and LayerNorms have no weight decay. clip: maximum norm of all gradients together, null for no limit.
    accumulate: number of chunks that each batch is cut into; their gradients are averaged.
    """

    lr: float = 1e-3
    rates: dict[str, float] = field(default_factory=dict)
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip: float | None = 1.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        require_not_negative(self, "optim", "lr", "weight_decay")
        require_above_zero(self, "optim", "layer_decay", "eps", "clip", "accumulate")
        require_decay(self, "optim", "betas")
        for prefix, rate in self.rates.items():
            if not rate >= 0:
                raise ConfigError(f"optim.rates: the rate of {prefix!r} must be 0 or more, not {rate}")


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Learning rate schedule; lengths are in steps. final: the cosine ends at this fraction of the peak rate."""

    kind: Literal["inverse_sqrt", "cosine", "constant"] = "cosine"
    warmup: int = 100
    cooldown: int = 0
    timescale: int = 20
    final: float = 0.01

    def __post_init__(self) -> None:
        require_not_negative(self, "schedule", "warmup", "cooldown")
        require_above_zero(self, "schedule", "timescale")
        require_fraction(self, "schedule", "final")


@dataclass(frozen=True, slots=True)
class EmaConfig:
    """Exponential moving average of the weights, updated every `every` steps. decay: per step; 0 keeps no average."""

    decay: float = 0.999
    every: int = 4

    def __post_init__(self) -> None:
        require_above_zero(self, "ema", "every")
        require_decay(self, "ema", "decay")


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """How often the state of the run is saved, and how many of the newest states are kept."""

    every_minutes: float = 10.0
    keep: int = 2

    def __post_init__(self) -> None:
        require_above_zero(self, "checkpoint", "every_minutes", "keep")


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """How often the averaged weights are validated. They always are at the end."""

    every_minutes: float = 15.0

    def __post_init__(self) -> None:
        require_above_zero(self, "validation", "every_minutes")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run of any task, which adds settings of its own.

    name, out: all output goes to the folder `out/name`. parallel: what several processes (torchrun) share, the work
    (`ddp`) or also the memory (`fsdp`). precision: `auto` is bfloat16 if the device has it in hardware. resume:
    continue the run in that folder. max_bad_steps: this many non-finite steps in a row stop the run. log_every:
    steps between two entries in `scalars.jsonl`.
    """

    name: str = "run"
    out: str = "runs"
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    resume: bool = True
    max_bad_steps: int = 5
    log_every: int = 10
    stages: tuple[StageConfig, ...] = (StageConfig(),)
    budget: BudgetConfig = field(default_factory=lambda: BudgetConfig(steps=1000))
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        require_folder_name(self.name, "name")
        if not self.out.strip():
            raise ConfigError("out: the folder has no name; write out=. for the working directory")
        require_above_zero(self, "", "threads", "max_bad_steps", "log_every")
        if not self.stages:
            raise ConfigError("stages: at least one is needed")
        for stage in self.stages:
            if stage.batch % self.optim.accumulate:
                raise ConfigError(
                    f"stages.batch {stage.batch} must be a multiple of optim.accumulate {self.optim.accumulate}"
                )
