"""Opens the data set of a run: a source of samples for each training stage, and one for validation."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.annotations import AnnotatedDataset
from sam3model.data.coco_dataset import read_coco
from sam3model.data.coco_file import class_phrase
from sam3model.data.common_nouns import foreign_nouns
from sam3model.data.dataset import SampleSource
from sam3model.data.dataset_layout import DatasetFiles, find_files, has_split, splits
from sam3model.data.playground_source import PlaygroundSource
from sam3model.data.query_sampling import QuerySampler
from sam3model.data.saco_dataset import read_saco
from sam3model.data.subsets import few, hold_out, readable
from sam3model.data.transforms import TRANSFORMS, Transform
from sam3model.errors import ConfigError, DataError
from sam3model.files import expanded
from sam3model.parse import nearest, parse
from sam3model.training.best_metric import choose_metric
from sam3model.training.settings import CurriculumStage, DataConfig, TrainConfig

log = logging.getLogger(__name__)


class Sources(Protocol):
    """The data of a run. metric: the validation metric that chooses the best weights."""

    metric: str

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Endless training samples for a stage."""
        ...

    def validation(self) -> tuple[SampleSource, int]:
        """The validation samples, always the same, and their number."""
        ...


def open_sources(config: TrainConfig) -> Sources:
    """Read the data set that `config.data` names.

    All validation images are read, so that unreadable ones are found before training starts.

    Raises:
        ConfigError: a transform or one of its settings, a class or a split is unknown, or the metric would be 0 for
            every model.
        DataError: the data set is missing, is not in its format, or too much of it is broken.
    """
    return PlaygroundSources(config) if config.data.source == "playground" else AnnotatedSources(config)


MIN_SCENE = 64
"""Minimum side of a rendered scene, in pixels."""


class PlaygroundSources:
    """Rendered scenes. Raises `ConfigError` if the size of a stage is too small for them."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.metric = config.validation.metric or "cgF1"
        for stage in config.stages:
            if stage.size < MIN_SCENE:
                raise ConfigError(f"stages.size must be at least {MIN_SCENE} pixels for scenes, not {stage.size}")

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Scenes of the training split; none is repeated."""
        data = self.config.data
        return PlaygroundSource(
            "train", seed=self.config.seed, size=stage.size, phrases=stage.phrases, negatives=data.negatives or 0.0,
            mask_phrases=stage.mask_phrases, mask_stride=stage.mask_stride, exemplars=data.exemplars,
        )  # fmt: skip

    def validation(self) -> tuple[SampleSource, int]:
        """Scenes of the validation split."""
        settings, stage = self.config.validation, self.config.stages[-1]
        source = PlaygroundSource("val", size=stage.size, phrases=settings.phrases, mask_stride=1)
        return source, settings.images


class AnnotatedSources:
    """A folder of annotated images. training_set, validation_set: its records, split."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.transforms = [build_transform(item) for item in config.data.transforms]
        self.training_set, validation_set = read_annotated(config.data, config.seed)
        self.validation_set = readable(validation_set, config.validation.images, config.data.broken)
        vocabulary = dict.fromkeys((*self.training_set.vocabulary, *self.validation_set.vocabulary))
        self.hard_negatives = _hard_negatives(config.data, vocabulary)
        self.foreign = foreign_nouns(vocabulary, config.data.present_nouns)
        source, count = self.validation()
        validated = (concept for index in range(count) for concept in source.phrases(index))
        self.metric = choose_metric(config.validation.metric, validated)

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Images of the training split, in random order, over and over."""
        data = self.config.data
        return AnnotatedSource(
            self.training_set, self._sampler(stage.phrases, self.foreign.training), seed=self.config.seed,
            size=stage.size, exemplars=data.exemplars, mask_phrases=stage.mask_phrases, mask_stride=stage.mask_stride,
            transforms=self.transforms, broken=data.broken,
        )  # fmt: skip

    def validation(self) -> tuple[AnnotatedSource, int]:
        """Images of the validation split, without augmentation."""
        settings, data = self.config.validation, self.config.data
        source = AnnotatedSource(
            self.validation_set, self._sampler(settings.phrases, self.foreign.held_out),
            size=self.config.stages[-1].size, shuffle=False, broken=data.broken,
        )  # fmt: skip
        return source, min(settings.images, len(self.validation_set))

    def _sampler(self, phrases: int, foreign: Sequence[str]) -> QuerySampler:
        data = self.config.data
        return QuerySampler(
            phrases, data.negatives, self.hard_negatives, data.max_annotations, foreign, data.absent_nouns
        )


def crowded(data: AnnotatedDataset, queries: int) -> str | None:
    """A warning if images have more instances of a phrase than a model has queries; it cannot find the others."""
    counts = [max((len(one.annotations) for one in image.phrases), default=0) for image in data.images]
    over = sum(count > queries for count in counts)
    if not over:
        return None
    return (
        f"{over} of {len(counts)} images have more instances of a phrase than the model has queries "
        f"(up to {max(counts)}, and {queries}): it cannot find the others; cut these images into parts"
    )


def warn_crowded(sources: Sources, queries: int) -> None:
    """Log `crowded` for the training and the validation images."""
    if isinstance(sources, AnnotatedSources):
        for data in (sources.training_set, sources.validation_set):
            if warning := crowded(data, queries):
                log.warning("%s: %s", data.name, warning)


def build_transform(item: Mapping[str, Mapping[str, Any]]) -> Transform:
    """The transform for an entry of the settings such as `flip: {chance: 0.5}`.

    Raises:
        ConfigError: the transform or a setting is unknown, or a value is invalid.
    """
    if len(item) != 1:
        raise ConfigError(f"data.transforms: each entry must be one transform with its settings, not {dict(item)}")
    ((name, settings),) = item.items()
    if name not in TRANSFORMS:
        raise ConfigError(f"data.transforms: {name!r} is unknown{nearest(name, TRANSFORMS)}")
    return parse(TRANSFORMS[name], settings, f"data.transforms.{name}")


def read_annotated(data: DataConfig, seed: int) -> tuple[AnnotatedDataset, AnnotatedDataset]:
    """The training and the validation set of COCO or SA-Co annotations. Raises as `open_sources` does."""
    root = expanded(data.root or ".")
    training = _read_split(data, find_files(root, data.split, data.annotations, data.images))
    if _has_own_validation(data, root):
        place = find_files(root, data.val_split, data.val_annotations, data.val_images or data.images)
        validation = _read_split(data, place)
    else:
        training, validation = hold_out(training, data.held_out)
    if data.max_images is not None:
        training = few(training, data.max_images, seed)
    return training, few(validation, len(validation), 0)


def _has_own_validation(data: DataConfig, root: Path) -> bool:
    """Whether there is a validation split. Raises ConfigError if one was named that does not exist."""
    if data.val_annotations is not None:
        return True
    if data.val_split == data.split or has_split(root, data.val_split):
        return data.val_split != data.split
    if data.val_split != DataConfig().val_split:
        known = splits(root)
        raise ConfigError(
            f"data.val_split: {root} has no split {data.val_split!r}{nearest(data.val_split, known) if known else ''} "
            f"(for an annotation file with another name, use data.val_annotations=FILE)"
        )
    return False


def _read_split(data: DataConfig, place: DatasetFiles) -> AnnotatedDataset:
    read = read_saco if data.source == "saco" else read_coco
    found = read(place, masks=data.masks, broken=data.broken)
    if not found.images:
        raise DataError(f"{found.name} has no usable images")
    return found


def _hard_negatives(data: DataConfig, vocabulary: Collection[str]) -> dict[str, list[str]]:
    """The hard negatives of each phrase. Raises ConfigError for a class that the data set does not have."""
    phrases = {class_phrase(name): [class_phrase(one) for one in like] for name, like in data.hard_negatives.items()}
    for phrase in phrases:
        if phrase not in vocabulary:
            raise ConfigError(f"data.hard_negatives: the data set has no {phrase!r}{nearest(phrase, vocabulary)}")
    return phrases
