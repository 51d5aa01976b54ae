"""From a run's settings to the sources of its pictures: for a stage of training, and for validation."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from sam3model.data.annotated_source import AnnotatedSource
from sam3model.data.annotations import AnnotatedDataset
from sam3model.data.coco_dataset import read_coco
from sam3model.data.coco_file import class_phrase
from sam3model.data.dataset import SampleSource
from sam3model.data.dataset_layout import DatasetFiles, find_files, has_split, splits
from sam3model.data.playground_source import PlaygroundSource
from sam3model.data.query_sampling import QuerySampler
from sam3model.data.saco_dataset import read_saco
from sam3model.data.subsets import few, hold_out, readable
from sam3model.data.transforms import TRANSFORMS, Transform
from sam3model.errors import ConfigError, DataError
from sam3model.parse import nearest, parse
from sam3model.training.config import CurriculumStage, DataConfig, TrainConfig
from sam3model.training.metric import chosen_metric


class Sources(Protocol):
    """Where a run's pictures come from. metric: the figure of validation that chooses the best weights."""

    metric: str

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Pictures to learn from, without end, as this stage wants them."""
        ...

    def validation(self) -> tuple[SampleSource, int]:
        """Held-out pictures, always the same ones, and how many of them to look at."""
        ...


def open_sources(config: TrainConfig) -> Sources:
    """Read the data set that `config.data` names, once for the whole run.

    Raises:
        ConfigError: an unknown transform, or a setting that it refuses; a class or a part that the data set has not; a
            metric that would be 0 for every model.
        DataError: the data set is missing, is not in its format, or too much of it is broken: the pictures that will be
            judged are all read, so that they do not turn out to be so when everything has been trained.
    """
    return PlaygroundSources(config) if config.data.source == "playground" else AnnotatedSources(config)


_LEAST_SCENE = 64
"""Side in pixels of the smallest scene that can be rendered."""


class PlaygroundSources:
    """Rendered scenes. Raises `ConfigError` for a stage that is too small for them."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.metric = config.validation.metric or "cgF1"
        for stage in config.stages:
            if stage.size < _LEAST_SCENE:
                raise ConfigError(f"stages.size is {_LEAST_SCENE} pixels or more for scenes, not {stage.size}")

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Scenes of the training split, never the same one twice."""
        data = self.config.data
        return PlaygroundSource(
            "train", seed=self.config.seed, size=stage.size, phrases=stage.phrases, negatives=data.negatives or 0.0,
            mask_phrases=stage.outlined, mask_stride=stage.mask_stride, exemplars=data.exemplars,
        )  # fmt: skip

    def validation(self) -> tuple[SampleSource, int]:
        """Scenes of the validation split."""
        settings, stage = self.config.validation, self.config.stages[-1]
        source = PlaygroundSource("val", size=stage.size, phrases=settings.phrases, mask_stride=1)
        return source, settings.pictures


class AnnotatedSources:
    """A folder of annotated pictures. learnt: what is trained on; judged: what validation looks at."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.transforms = [build_transform(item) for item in config.data.transforms]
        self.learnt, judged = _read(config.data, config.seed)
        self.judged = readable(judged, config.validation.pictures, config.data.broken)
        self.look_alikes = _look_alikes(config.data, dict.fromkeys((*self.learnt.vocabulary, *self.judged.vocabulary)))
        source, count = self.validation()
        asked = (concept for index in range(count) for concept in source.phrases(index))
        self.metric = chosen_metric(config.validation.metric, asked)

    def training(self, stage: CurriculumStage) -> SampleSource:
        """Pictures of the training part, again and again."""
        data = self.config.data
        return AnnotatedSource(
            self.learnt, self._sampler(stage.phrases), seed=self.config.seed, size=stage.size, exemplars=data.exemplars,
            mask_phrases=stage.outlined, mask_stride=stage.mask_stride, transforms=self.transforms, broken=data.broken,
        )  # fmt: skip

    def validation(self) -> tuple[AnnotatedSource, int]:
        """Pictures of the validation part, untransformed."""
        settings, data = self.config.validation, self.config.data
        source = AnnotatedSource(
            self.judged, self._sampler(settings.phrases), size=self.config.stages[-1].size, shuffle=False,
            broken=data.broken,
        )  # fmt: skip
        return source, min(settings.pictures, len(self.judged))

    def _sampler(self, phrases: int) -> QuerySampler:
        data = self.config.data
        return QuerySampler(phrases, data.negatives, self.look_alikes, data.max_annotations)


def build_transform(item: Mapping[str, Mapping[str, Any]]) -> Transform:
    """The transform that a line of YAML such as `flip: {chance: 0.5}` means.

    Raises:
        ConfigError: it is unknown, or refuses a setting.
    """
    if len(item) != 1:
        raise ConfigError(f"data.transforms: each entry is one transform with its settings, not {dict(item)}")
    ((name, settings),) = item.items()
    if name not in TRANSFORMS:
        raise ConfigError(f"data.transforms: {name!r} is unknown{nearest(name, TRANSFORMS)}")
    return parse(TRANSFORMS[name], settings, f"data.transforms.{name}")


def _read(data: DataConfig, seed: int) -> tuple[AnnotatedDataset, AnnotatedDataset]:
    """What is trained on, and what is validated on."""
    root = Path(data.root or ".").expanduser()
    learnt = _read_split(data, find_files(root, data.split, data.annotations, data.images))
    if _has_own_validation(data, root):
        place = find_files(root, data.val_split, data.val_annotations, data.val_images or data.images)
        judged = _read_split(data, place)
    else:
        learnt, judged = hold_out(learnt, data.held_out)
    return (learnt if data.pictures is None else few(learnt, data.pictures, seed)), few(judged, len(judged), 0)


def _has_own_validation(data: DataConfig, root: Path) -> bool:
    """Whether there is a part to validate on. Raises ConfigError if one was asked for that is not there."""
    if data.val_annotations is not None:
        return True
    if data.val_split == data.split or has_split(root, data.val_split):
        return data.val_split != data.split
    if data.val_split != DataConfig().val_split:
        known = splits(root)
        raise ConfigError(
            f"data.val_split: {root} has no part {data.val_split!r}{nearest(data.val_split, known) if known else ''} "
            f"(a file of another name is data.val_annotations=FILE)"
        )
    return False


def _read_split(data: DataConfig, place: DatasetFiles) -> AnnotatedDataset:
    read = read_saco if data.source == "saco" else read_coco
    found = read(place, masks=data.masks, broken=data.broken)
    if not found.images:
        raise DataError(f"{found.name} has no picture that can be used")
    return found


def _look_alikes(data: DataConfig, vocabulary: Collection[str]) -> dict[str, list[str]]:
    """Phrase -> those it is easily taken for. Raises ConfigError for one that the data set does not know."""
    phrases = {class_phrase(name): [class_phrase(one) for one in like] for name, like in data.hard_negatives.items()}
    for phrase in phrases:
        if phrase not in vocabulary:
            raise ConfigError(f"data.hard_negatives: the data set has no {phrase!r}{nearest(phrase, vocabulary)}")
    return phrases
