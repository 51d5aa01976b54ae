"""Settings of training detector and tracker together. `sam3model.parse` reads them from plain mappings."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from sam3model.errors import ConfigError
from sam3model.losses import LossConfig
from sam3model.losses.tracker_loss import MultiStepMultiMasksAndIous
from sam3model.training.clip_settings import (
    ClipDataConfig,
    ClipModelConfig,
    ClipStage,
    ClipTrainConfig,
    ClipValidation,
    PromptConfig,
)
from sam3model.training.limits import require_above_zero, require_not_negative
from sam3model.training.run_settings import RunConfig
from sam3model.training.settings import (
    ConceptValidation,
    CorrectionConfig,
    CurriculumStage,
    DataConfig,
    ModelConfig,
    TrainConfig,
)


@dataclass(frozen=True, slots=True)
class JointModelConfig(ClipModelConfig):
    """As in a run on clips, but nothing is frozen by default."""

    frozen: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JointStage(ClipStage):
    """One stage of the curriculum. Each step trains on `batch` clips and on `images` images, over all processes.

    phrases, mask_phrases: of each image, as in `CurriculumStage`. mask_stride holds for both.
    """

    images: int = 4
    phrases: int = 4
    mask_phrases: int = 4

    def __post_init__(self) -> None:
        ClipStage.__post_init__(self)
        require_above_zero(self, "stages", "images", "phrases")
        require_not_negative(self, "stages", "mask_phrases")


@dataclass(frozen=True, slots=True)
class JointImages:
    """Images of the run, and how they train the detector. weight: of its loss."""

    weight: float = 1.0
    data: DataConfig = field(default_factory=DataConfig)
    interactive: CorrectionConfig = field(default_factory=CorrectionConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    validation: ConceptValidation = field(default_factory=ConceptValidation)

    def __post_init__(self) -> None:
        require_above_zero(self, "images", "weight")


@dataclass(frozen=True, slots=True)
class JointClips:
    """Clips of the run, and how they train clicks and the tracker. weight: of their loss."""

    weight: float = 1.0
    data: ClipDataConfig = field(default_factory=ClipDataConfig)
    prompts: PromptConfig = field(default_factory=PromptConfig)
    loss: MultiStepMultiMasksAndIous = field(default_factory=MultiStepMultiMasksAndIous)
    validation: ClipValidation = field(default_factory=ClipValidation)

    def __post_init__(self) -> None:
        require_above_zero(self, "clips", "weight")


@dataclass(frozen=True, slots=True)
class JointTrainConfig(RunConfig):
    """A run that trains detector and tracker together, on images and clips.

    `validation.every_minutes` is that of the run; those of `images.validation` and `clips.validation` are not used.
    """

    model: JointModelConfig = field(default_factory=JointModelConfig)
    stages: tuple[JointStage, ...] = (JointStage(),)
    images: JointImages = field(default_factory=JointImages)
    clips: JointClips = field(default_factory=JointClips)

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        for stage in self.stages:
            if stage.images % self.optim.accumulate:
                raise ConfigError(
                    f"stages.images {stage.images} must be a multiple of optim.accumulate {self.optim.accumulate}"
                )

    def clip_run(self) -> ClipTrainConfig:
        """The settings of a run on these clips alone."""
        own, model = self.clips, self.model
        return ClipTrainConfig(
            **_shared(self), model=ClipModelConfig(**_values(model)), data=own.data, prompts=own.prompts, loss=own.loss,
            stages=self.stages, validation=replace(own.validation, every_minutes=self.validation.every_minutes),
        )  # fmt: skip

    def image_run(self) -> TrainConfig:
        """The settings of a run on these images alone."""
        own, model = self.images, self.model
        return TrainConfig(
            **_shared(self), data=own.data, interactive=own.interactive, loss=own.loss,
            model=ModelConfig(
                preset=model.preset, overrides=model.overrides.get("detector", {}), weights=model.weights,
                checkpointing=model.checkpointing, compile=model.compile,
            ),
            stages=tuple(
                CurriculumStage(
                    fraction=stage.fraction, batch=stage.images, lr_scale=stage.lr_scale, size=0,
                    phrases=stage.phrases, mask_phrases=stage.mask_phrases, mask_stride=stage.mask_stride,
                )
                for stage in self.stages
            ),
            validation=replace(own.validation, every_minutes=self.validation.every_minutes),
        )  # fmt: skip


def _shared(config: RunConfig) -> dict[str, Any]:
    """The settings that hold for any run, without stages and validation."""
    names = {item.name for item in fields(RunConfig)} - {"stages", "validation"}
    return {name: getattr(config, name) for name in names}


def _values(config: Any) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in fields(config)}
