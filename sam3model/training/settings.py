"""Settings of training the image model on concepts. `sam3model.parse` reads them from plain mappings."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sam3model.checkpoint import read_config
from sam3model.config import PRESETS, DetectorConfig
from sam3model.errors import ConfigError
from sam3model.losses import LossConfig
from sam3model.parse import merge, nearest, parse
from sam3model.training.limits import require_above_zero, require_fraction, require_not_negative
from sam3model.training.lora import LoraConfig
from sam3model.training.run_settings import RunConfig, StageConfig, ValidationConfig


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The model to train.

    preset: a size by name; null takes the sizes of `weights`. overrides: single sizes that replace those.
    weights: `tiny`, a file or a Hugging Face name to start from. frozen: prefixes of parameter names that are not
    trained, e.g. `vision.`. lora: train adapters only. checkpointing: recompute layers in the backward pass instead of
    keeping their activations. compile: run the heavy parts through torch.compile.
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
            ConfigError: the preset or a size is unknown, sizes contradict each other, or preset and weights are both
                missing.
            CheckpointError: the sizes come from weights that cannot be read.
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
    """Training and validation images, and the phrases they are prompted with.

    source: rendered Playground scenes, a folder with COCO annotations (COCO, LVIS, ODinW, Roboflow), or one with SA-Co
    annotations. root: that folder. split, val_split: names of the splits. Without a validation split, the fraction
    `held_out` of the training images is used for validation. annotations, val_annotations: annotation files in `root`;
    by default they are found by their usual names. images: folder of the images, relative to `root`.
    val_images: images for validation; defaults to `images`. max_images: number of training images to use (few-shot).
    masks: train on masks as well as boxes, if annotated. workers, prefetch: data loader processes
    and the batches each one prepares in advance.
    negatives: fraction of an image's phrases that match nothing in it; null adds as many as `stages.phrases` leaves
    room for. absent_nouns: fraction of these that are common nouns foreign to the data set, from a shipped list; if an
    image has no absent class, all are. Without them, a model learns to answer to every phrase. present_nouns: words for
    what images show although it is not annotated, which are then never taken for absent. hard_negatives: for a class,
    the classes it is easily confused with; half of the other negatives are drawn from them. exemplars: fraction of the
    positive prompts that also get one of their boxes; half of these lose their phrase.
    max_annotations: maximum number of instances per image. transforms: augmentations in order, each
    `{name: {setting: value}}`; the resize to the model's square input always comes last.
    broken: fraction of images or annotations that may be unreadable; the data set is refused if there are more.
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
    max_images: int | None = None
    masks: bool = True
    workers: int = 1
    prefetch: int = 4
    negatives: float | None = 0.4
    absent_nouns: float = 0.3
    present_nouns: tuple[str, ...] = ()
    hard_negatives: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exemplars: float = 0.0
    max_annotations: int = 200
    transforms: tuple[dict[str, dict[str, Any]], ...] = ()
    broken: float = 0.1

    def __post_init__(self) -> None:
        require_above_zero(self, "data", "max_images", "prefetch", "max_annotations")
        require_not_negative(self, "data", "workers")
        require_fraction(self, "data", "negatives", "absent_nouns", "exemplars", "held_out", "broken")
        if self.source != "playground" and self.root is None:
            raise ConfigError("data.root is missing: give the folder of the data set, as data.root=DIR")
        if self.source == "playground" and self.negatives is None:
            raise ConfigError("data.negatives must be a fraction from 0 to 1 for Playground scenes, not null")


@dataclass(frozen=True, slots=True)
class CurriculumStage(StageConfig):
    """One stage of the curriculum, on images of `size` pixels.

    size: side of the model input; 0 is the size the model is used at, which the last stage must have.
    phrases: maximum number of prompts per image. mask_phrases: how many of the positive prompts train masks; the others
    train boxes only, which is much cheaper. mask_stride: target masks have the size of the image divided by this.
    """

    size: int = 256
    phrases: int = 4
    mask_phrases: int = 4
    mask_stride: int = 2

    def __post_init__(self) -> None:
        StageConfig.__post_init__(self)
        require_above_zero(self, "stages", "phrases", "mask_stride")
        require_not_negative(self, "stages", "size", "mask_phrases")
        if self.size % self.mask_stride:
            raise ConfigError(f"stages.size {self.size} must be a multiple of stages.mask_stride {self.mask_stride}")


@dataclass(frozen=True, slots=True)
class CorrectionConfig:
    """Correction rounds: prompts are run again with boxes and points on the model's mistakes (`training.annotator`).

    rounds: passes after the first one. The image and text encoders run once for all passes. fraction: of the steps,
    those that have rounds. boxes: fraction of the corrections that are boxes; the others are points. threshold: minimum
    score of a detection. iou: an instance is missed if no detection overlaps it this much.
    """

    rounds: int = 0
    fraction: float = 0.5
    boxes: float = 0.5
    threshold: float = 0.5
    iou: float = 0.5

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ConfigError(f"interactive.rounds must be a number of passes, 0 for none, not {self.rounds}")
        require_fraction(self, "interactive", "fraction", "boxes", "threshold", "iou")


@dataclass(frozen=True, slots=True)
class ConceptValidation(ValidationConfig):
    """Held-out images that the averaged weights are validated on: every `every_minutes`, and at the end.

    images: maximum number of images. threshold: minimum score of a detection. metric: chooses the best weights; null is
    cgF1, or another metric if the annotations have no masks or every phrase matches something. certificate: number of
    held-out images that the weights are compared on with those that the run started from, at its end; 0 for none.
    examples: number of prompts in the panel of predictions beside the ground truth. rounds: also report the metrics
    after 1, 2, … corrections of every prompt, as `cgF1@1` and so on.
    """

    images: int = 48
    batch: int = 8
    phrases: int = 6
    threshold: float = 0.5
    metric: Literal["cgF1", "positive_micro_F1", "mean_IoU", "AP", "AP_with_absent"] | None = None
    certificate: int = 6
    examples: int = 16
    rounds: int = 0

    def __post_init__(self) -> None:
        ValidationConfig.__post_init__(self)
        require_above_zero(self, "validation", "images", "batch", "phrases")
        require_not_negative(self, "validation", "examples", "rounds", "certificate")
        require_fraction(self, "validation", "threshold")


@dataclass(frozen=True, slots=True)
class TrainConfig(RunConfig):
    """A run that trains the image model on concepts."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    stages: tuple[CurriculumStage, ...] = (CurriculumStage(),)
    interactive: CorrectionConfig = field(default_factory=CorrectionConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    validation: ConceptValidation = field(default_factory=ConceptValidation)

    def sized(self, side: int, step: int = 1) -> "TrainConfig":
        """A copy in which every stage has a size, for a model that is used at `side` pixels.

        step: the model takes multiples of this size, its patch size times its window.

        Raises:
            ConfigError: the last stage has another size than `side`, or a size does not fit the model.
        """
        if self.stages[-1].size not in (0, side):
            raise ConfigError(
                f"stages: the last stage trains at {self.stages[-1].size} pixels, but the model is used at {side} "
                f"(set size: {side}, or model.overrides.vit.image_size)"
            )
        for stage in self.stages:
            if stage.size % step:
                raise ConfigError(f"stages.size must be a multiple of {step} pixels for this model, not {stage.size}")
        return replace(self, stages=tuple(replace(stage, size=stage.size or side) for stage in self.stages))
