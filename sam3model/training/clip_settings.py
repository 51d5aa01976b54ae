"""Settings of training clicks and the tracker. `sam3model.parse` reads them from plain mappings."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sam3model.checkpoint import read_config
from sam3model.config import PRESETS, Sam3Config
from sam3model.errors import ConfigError
from sam3model.losses.tracker_loss import MultiStepMultiMasksAndIous
from sam3model.parse import merge, nearest, parse
from sam3model.training.clip_set_settings import ClipSetConfig
from sam3model.training.limits import require_above_zero, require_fraction, require_not_negative
from sam3model.training.run_settings import RunConfig, StageConfig, ValidationConfig

TRACKED_PARTS = ("detector", "interactive", "tracker", "video")


@dataclass(frozen=True, slots=True)
class ClipModelConfig:
    """The model to train.

    preset: a size by name; null takes the sizes of `weights`. overrides: single sizes that replace those, e.g.
    `{tracker: {layers: 4}}`. weights: `tiny`, a file or a Hugging Face name to start from; parts that it lacks start
    new, and a missing interactive head of the neck starts as the detection head. frozen: prefixes of parameter names
    that are not trained. checkpointing, compile: as for images.
    """

    preset: str | None = "sam3_tiny"
    overrides: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    frozen: tuple[str, ...] = ("detector.",)
    trained: tuple[str, ...] = ("detector.vision.neck.interactive.",)
    checkpointing: bool = False
    compile: bool = False

    def resolve(self) -> Sam3Config:
        """The configuration of all parts.

        Raises:
            ConfigError: the preset or a size is unknown, sizes contradict each other, parts are missing, or preset and
                weights are both missing.
            CheckpointError: the sizes come from weights that cannot be read.
        """
        found = parse(Sam3Config, merge(asdict(self._base()), self.overrides), "model.overrides")
        return found.only(TRACKED_PARTS)

    def _base(self) -> Sam3Config:
        if self.preset is None:
            if self.weights is None:
                raise ConfigError("model: give a preset or weights")
            return read_config(self.weights)
        if self.preset not in PRESETS:
            raise ConfigError(f"model.preset: {self.preset!r} is unknown{nearest(self.preset, PRESETS)}")
        return PRESETS[self.preset]()


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """Simulated prompts.

    masks, boxes, clicks: weights of the three kinds on the first frame; a single frame gets no mask. corrected:
    fraction of the steps with correction clicks, of which 1 to `max_corrections` follow the prompt of the first frame,
    and in the fraction `corrected_later` of them at most `max_later_corrections` on another frame. After a mask, only
    the other frame is corrected. corrected_alone: as `corrected`, for single frames; None: the same. careful: fraction
    of the clicks in the middle of an object or of its largest mistake, as people click; the others are anywhere in it.
    """

    masks: float = 0.5
    boxes: float = 0.25
    clicks: float = 0.25
    corrected: float = 0.5
    corrected_alone: float | None = None
    corrected_later: float = 0.5
    max_corrections: int = 7
    max_later_corrections: int = 7
    careful: float = 0.0

    def __post_init__(self) -> None:
        require_not_negative(self, "prompts", "masks", "boxes", "clicks", "max_corrections", "max_later_corrections")
        require_fraction(self, "prompts", "corrected", "corrected_later", "careful")
        if self.corrected_alone is not None:
            require_fraction(self, "prompts", "corrected_alone")
        if not self.boxes + self.clicks > 0:
            raise ConfigError("prompts: boxes or clicks must be above 0, since single images get no masks")


@dataclass(frozen=True, slots=True)
class ClipDataConfig(ClipSetConfig):
    """Training and validation clips, and how they are loaded.

    visits: number of steps in a row on the same clips, with other prompts: rendering, decoding and the frozen image
    encoder are paid once. stills_weight: of the loss of stills. workers, prefetch: data loader processes, as many again
    for stills, and the batches each one prepares in advance.
    """

    visits: int = 2
    stills_weight: float = 1.0
    workers: int = 1
    prefetch: int = 2

    def __post_init__(self) -> None:
        ClipSetConfig.__post_init__(self)
        require_above_zero(self, "data", "visits", "stills_weight", "prefetch")
        require_not_negative(self, "data", "workers")


@dataclass(frozen=True, slots=True)
class ClipStage(StageConfig):
    """One stage of the curriculum. A batch counts clips.

    frames: of each clip; 1 trains clicks on single images. stills: number of single frames in every step beside the
    clips, as SAM 2 is trained on images and videos (section 4); of Playground, they are scenes. objects: maximum number
    per clip or still. mask_stride: the true masks have the size of the model input divided by this.
    """

    frames: int = 8
    stills: int = 0
    objects: int = 3
    mask_stride: int = 2

    def __post_init__(self) -> None:
        StageConfig.__post_init__(self)
        require_above_zero(self, "stages", "frames", "objects", "mask_stride")
        require_not_negative(self, "stages", "stills")


@dataclass(frozen=True, slots=True)
class ClipValidation(ValidationConfig):
    """Held-out clips that the averaged weights are validated on.

    clips, frames, objects: how many, and of what size. corrections: clicks after the first one that are reported.
    metric: chooses the best weights; null is J, or IoU@3 if clips have one frame. examples: clips drawn in the panel.
    """

    clips: int = 32
    batch: int = 4
    frames: int = 12
    objects: int = 4
    corrections: int = 4
    metric: Literal["J", "IoU@1", "IoU@3"] | None = None
    examples: int = 4

    def __post_init__(self) -> None:
        ValidationConfig.__post_init__(self)
        require_above_zero(self, "validation", "clips", "batch", "frames", "objects")
        require_not_negative(self, "validation", "corrections", "examples")
        if self.metric == "J" and self.frames == 1:
            raise ConfigError("validation.metric: J is that of later frames, but validation.frames is 1: use IoU@1")
        if self.metric == "IoU@3" and self.corrections < 2:
            raise ConfigError(
                f"validation.metric: IoU@3 needs 2 corrections, but validation.corrections is {self.corrections}"
            )

    @property
    def chosen(self) -> str:
        """The metric that chooses the best weights."""
        return self.metric or ("J" if self.frames > 1 else f"IoU@{min(3, self.corrections + 1)}")


@dataclass(frozen=True, slots=True)
class ClipTrainConfig(RunConfig):
    """A run that trains clicks and the tracker."""

    model: ClipModelConfig = field(default_factory=ClipModelConfig)
    data: ClipDataConfig = field(default_factory=ClipDataConfig)
    stages: tuple[ClipStage, ...] = (ClipStage(),)
    prompts: PromptConfig = field(default_factory=PromptConfig)
    loss: MultiStepMultiMasksAndIous = field(default_factory=MultiStepMultiMasksAndIous)
    validation: ClipValidation = field(default_factory=ClipValidation)
