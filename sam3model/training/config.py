"""Every setting of a run, as frozen dataclasses; `parse` makes them from plain mappings and refuses what is unknown."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any, Literal

from sam3model.checkpoint import read_config
from sam3model.config import PRESETS, DetectorConfig
from sam3model.errors import ConfigError
from sam3model.losses import LossConfig
from sam3model.parse import merge, nearest, parse
from sam3model.training.limits import (
    require_above_zero,
    require_decay,
    require_folder_name,
    require_not_negative,
    require_share,
)
from sam3model.training.lora import LoraConfig


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A preset, with any of its sizes overridden, optionally started from weights.

    weights: `tiny`, a file or a hub name; without a preset, the sizes are theirs. frozen: beginnings of the names of
    parameters that stay as they are, such as `vision.`. lora: train adapters alone. checkpointing: recompute layers in
    the backward pass instead of keeping their activations. compile: run the heavy parts through torch.compile.
    """

    preset: str | None = "sam3_tiny"
    overrides: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    frozen: tuple[str, ...] = ()
    lora: LoraConfig | None = None
    checkpointing: bool = False
    compile: bool = False

    def resolve(self) -> DetectorConfig:
        """The detector's configuration.

        Raises:
            ConfigError: unknown preset, unknown size, sizes that do not fit each other, or neither preset nor weights.
            CheckpointError: the sizes are those of weights that cannot be read.
        """
        return parse(DetectorConfig, merge(asdict(self._base()), self.overrides), "model.overrides")

    def _base(self) -> DetectorConfig:
        if self.preset is None:
            if self.weights is None:
                raise ConfigError("model: give a preset or weights")
            return read_config(self.weights).detector
        if self.preset not in PRESETS:
            raise ConfigError(f"model.preset: {self.preset!r} is unknown{nearest(self.preset, PRESETS)}")
        return PRESETS[self.preset]().detector


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where pictures come from and how they are asked.

    source: rendered scenes, a folder with a COCO file (COCO, LVIS, ODinW, Roboflow), or one with a SA-Co file.
    root: the folder. annotations, val_annotations: the files' names inside `root` where they are not usual ones;
    images, val_images: the pictures' folders where they are not, the second as the first if it is null.
    split, val_split: parts of the data set by name; without a part for validation, a share `held_out` of the pictures
    is kept back from training. pictures: train on so many of them only (few shots).
    masks: learn outlines where the file has them.
    negatives: share of a picture's phrases that should match nothing; null fills up with them. hard_negatives: for a
    class, those it is easily taken for; half of the negatives are drawn from them. exemplars: share of positive prompts
    that also get one of their boxes; half of these lose their phrase. max_annotations: at most so many things are asked
    for per picture.
    transforms: changes of the picture, in order, each `{name: {setting: value}}`; the squash to the model's square is
    always the last. broken: share of pictures or annotations that may be unreadable before the data set is refused.
    """

    source: Literal["playground", "coco", "saco"] = "playground"
    root: str | None = None
    annotations: str | None = None
    images: str | None = None
    val_annotations: str | None = None
    val_images: str | None = None
    split: str = "train"
    val_split: str = "val"
    held_out: float = 0.1
    pictures: int | None = None
    masks: bool = True
    workers: int = 1
    prefetch: int = 4
    negatives: float | None = 0.4
    hard_negatives: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exemplars: float = 0.0
    max_annotations: int = 200
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    broken: float = 0.1

    def __post_init__(self) -> None:
        require_above_zero(self, "data", "pictures", "prefetch", "max_annotations")
        require_not_negative(self, "data", "workers")
        require_share(self, "data", "negatives", "exemplars", "held_out", "broken")
        if self.source != "playground" and self.root is None:
            raise ConfigError("data.root: name the folder of the data set, as data.root=DIR")
        if self.source == "playground" and self.negatives is None:
            raise ConfigError("data.negatives: scenes need a share, from 0 to 1")


@dataclass(frozen=True, slots=True)
class CurriculumStage:
    """One stretch of the curriculum: `share` of the budget on pictures of `size` pixels, `batch` at a time.

    size: 0 is the size that the model answers at, which the last stage must have. batch: over all processes together.
    phrases: at most so many prompts per picture. outlined: so many positive ones of them train masks, the others boxes
    alone, which is a good deal cheaper. mask_stride: target masks have the size of the picture over this. lr_scale
    multiplies every learning rate.
    """

    share: float = 1.0
    size: int = 256
    batch: int = 8
    phrases: int = 4
    outlined: int = 4
    mask_stride: int = 2
    lr_scale: float = 1.0

    def __post_init__(self) -> None:
        require_above_zero(self, "stages", "share", "batch", "phrases", "mask_stride")
        require_not_negative(self, "stages", "size", "outlined", "lr_scale")
        if self.size % self.mask_stride:
            raise ConfigError(f"stages.mask_stride {self.mask_stride} does not divide a size of {self.size} pixels")


@dataclass(frozen=True, slots=True)
class InteractiveConfig:
    """Rounds in which prompts are asked again with the model's own mistakes corrected (see `training.interactive`).

    rounds: so many after the first pass; a step then costs about as many passes more, without the encoders. share: of
    the steps that have rounds. boxes: share of the corrections that are boxes; the others are points. threshold: score
    above which a detection counts. iou: overlap under which a thing counts as missed.
    """

    rounds: int = 0
    share: float = 0.5
    boxes: float = 0.5
    threshold: float = 0.5
    iou: float = 0.5

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ConfigError(f"interactive.rounds is a number of passes, 0 for none, not {self.rounds}")
        require_share(self, "interactive", "share", "boxes", "threshold", "iou")


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """What ends the run: a number of steps, or minutes (validation and waiting included). Exactly one is given."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ConfigError("budget: give either steps or minutes, and set the other one to null")
        require_above_zero(self, "budget", "steps", "minutes")


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """AdamW. `rates` gives a part of the model (a name prefix, the longest one wins) its own rate instead of `lr`.

    layer_decay multiplies the rate of trunk block i by layer_decay ** (depth - i); the position table keeps its rate.
    Biases and LayerNorms are not decayed. accumulate: chunks that each batch is cut into; their gradients are averaged.
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
        for part, rate in self.rates.items():
            if not rate >= 0:
                raise ConfigError(f"optim.rates: that of {part!r} is 0 or more, not {rate}")


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """Shape of the learning rate; lengths in steps. `final` is where the cosine ends, as a share of its top."""

    kind: Literal["inverse_sqrt", "cosine", "constant"] = "cosine"
    warmup: int = 100
    cooldown: int = 0
    timescale: int = 20
    final: float = 0.01

    def __post_init__(self) -> None:
        require_not_negative(self, "schedule", "warmup", "cooldown")
        require_above_zero(self, "schedule", "timescale")
        require_share(self, "schedule", "final")


@dataclass(frozen=True, slots=True)
class EmaConfig:
    """Moving average of the weights, updated every `every` steps; `decay` is per step, and 0 keeps no average."""

    decay: float = 0.999
    every: int = 4

    def __post_init__(self) -> None:
        require_above_zero(self, "ema", "every")
        require_decay(self, "ema", "decay")


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """How often the run's state is written, and how many of them are kept beside the best."""

    every_minutes: float = 10.0
    keep: int = 2

    def __post_init__(self) -> None:
        require_above_zero(self, "checkpoint", "every_minutes", "keep")


@dataclass(frozen=True, slots=True)
class ValidationConfig:
    """Held-out pictures that the averaged weights are judged on: every so many minutes and at the end.

    metric: the figure by which the best weights are chosen; null takes cgF1, or what says more where nothing has an
    outline or no phrase is absent. examples: prompts drawn in the panel of predictions against truth. rounds: also
    judge the answers after 1, 2, … corrections, one to each prompt at a time, as `cgF1@1` and so on.
    """

    every_minutes: float = 15.0
    pictures: int = 48
    batch: int = 8
    phrases: int = 6
    threshold: float = 0.5
    metric: Literal["cgF1", "positive_micro_F1", "mean_IoU", "AP"] | None = None
    examples: int = 16
    rounds: int = 0

    def __post_init__(self) -> None:
        require_above_zero(self, "validation", "every_minutes", "pictures", "batch", "phrases")
        require_not_negative(self, "validation", "examples", "rounds")
        require_share(self, "validation", "threshold")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A whole run. `out/name` receives everything it writes; `max_bad_steps` non-finite steps in a row stop it.

    parallel: what several processes (torchrun) share: the work (`ddp`), or the memory too (`fsdp`).
    """

    name: str = "run"
    out: str = "runs"
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    resume: bool = True
    max_bad_steps: int = 5
    log_every: int = 10
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    stages: tuple[CurriculumStage, ...] = (CurriculumStage(),)
    interactive: InteractiveConfig = field(default_factory=InteractiveConfig)
    budget: BudgetConfig = field(default_factory=lambda: BudgetConfig(steps=1000))
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    ema: EmaConfig = field(default_factory=EmaConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        require_folder_name(self.name, "name")
        require_above_zero(self, "", "threads", "max_bad_steps", "log_every")
        if not self.stages:
            raise ConfigError("stages: at least one is needed")
        for stage in self.stages:
            if stage.batch % self.optim.accumulate:
                raise ConfigError(f"optim.accumulate {self.optim.accumulate} does not divide a batch of {stage.batch}")

    def sized(self, side: int, step: int = 1) -> "TrainConfig":
        """The same with every stage's size stated, for a model that answers at `side` pixels.

        step: the model takes sizes that are multiples of it, its patch size times its window.

        Raises:
            ConfigError: the last stage, on which the run is judged, has another size, or one does not fit the model.
        """
        if self.stages[-1].size not in (0, side):
            raise ConfigError(
                f"stages: the last one has {self.stages[-1].size} pixels, but the model answers at {side}: what "
                f"validation says would not be what you get (use that size, or set model.overrides.vit.image_size)"
            )
        for stage in self.stages:
            if stage.size % step:
                raise ConfigError(f"stages.size is a multiple of {step} pixels for this model, not {stage.size}")
        return replace(self, stages=tuple(replace(stage, size=stage.size or side) for stage in self.stages))


def to_dict(config: Any) -> Any:
    """A config as plain values that JSON and YAML can hold."""
    if is_dataclass(config) and not isinstance(config, type):
        return to_dict(asdict(config))
    if isinstance(config, Mapping):
        return {str(key): to_dict(value) for key, value in config.items()}
    return [to_dict(value) for value in config] if isinstance(config, list | tuple) else config
