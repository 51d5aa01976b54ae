"""Opens the clips of a run: sources of samples for training, and one for validation that is always the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sam3model.data.clip_annotations import ClipDataset
from sam3model.data.clip_burst_reader import read_burst_clips
from sam3model.data.clip_folder_reader import read_davis_clips, read_mose_clips
from sam3model.data.clip_layouts import (
    burst_annotations,
    davis_folders,
    lvvis_annotations,
    mose_folders,
    sav_split,
    veval_annotations,
    ytvis_annotations,
)
from sam3model.data.clip_sample import ClipSource
from sam3model.data.clip_sav_reader import read_sav_clips
from sam3model.data.clip_source import AnnotatedClips
from sam3model.data.clip_subsets import few_clips, hold_out_clips, usable_clips
from sam3model.data.clip_vis_reader import read_lvvis_clips, read_veval_clips, read_ytvis_clips
from sam3model.data.moving_stills import DatasetStills, MovingStills, SceneStills, StillImages
from sam3model.data.playground_clips import PlaygroundClips
from sam3model.data.playground_stills import PlaygroundStills
from sam3model.data.subsets import readable
from sam3model.errors import ConfigError, DataError
from sam3model.files import expanded
from sam3model.training.clip_set_settings import ClipSetConfig
from sam3model.training.settings import DataConfig
from sam3model.training.sources import build_transform, read_annotated

Reader = Callable[[Path, str, float], ClipDataset]

_READERS: Mapping[str, tuple[Reader, Callable[[Path, str], object]]] = {
    "davis": (read_davis_clips, davis_folders),
    "mose": (read_mose_clips, mose_folders),
    "sav": (read_sav_clips, sav_split),
    "ytvis": (read_ytvis_clips, ytvis_annotations),
    "lvvis": (read_lvvis_clips, lvvis_annotations),
    "burst": (read_burst_clips, burst_annotations),
    "veval": (read_veval_clips, veval_annotations),
}
"""For each data set, its reader, and a function that raises `DataError` if a split is missing."""


@dataclass(frozen=True, slots=True)
class ClipShape:
    """Samples of `frames` frames, size x size, with up to `objects` objects; masks are (size / mask_stride) squared."""

    size: int
    frames: int
    objects: int
    mask_stride: int


class ClipSet(Protocol):
    """The clips of a run. count: number of validation clips; None: endless."""

    count: int | None

    def training(self, shape: ClipShape) -> ClipSource:
        """Endless training samples."""
        ...

    def validation(self, shape: ClipShape) -> ClipSource:
        """The validation samples."""
        ...


def open_clip_set(config: ClipSetConfig, *, seed: int, validated: int) -> ClipSet:
    """Read the clips that `config` names.

    validated: number of validation clips wanted. These are read completely, so that unusable ones are found before
    training starts.

    Raises:
        ConfigError: a transform or one of its settings, or a split, is unknown.
        DataError: the data set is missing, is not in its format, or too much of it is broken.
    """
    if config.source == "playground":
        return RenderedClips(config, seed)
    if config.source == "playground_stills":
        return RenderedScenes(seed)
    if config.source == "playground_scenes":
        return StillClips(config, seed, SceneStills("train", seed), SceneStills("val"), None)
    if config.source in ("coco", "saco"):
        return _open_stills(config, seed, validated)
    return RecordedClips(config, seed, validated)


class RenderedClips:
    """Playground clips; none is repeated."""

    count: int | None = None

    def __init__(self, config: ClipSetConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def training(self, shape: ClipShape) -> ClipSource:
        """Clips of the training split."""
        return self._source("train", self.seed, shape, self.config.reverse)

    def validation(self, shape: ClipShape) -> ClipSource:
        """Clips of the validation split."""
        return self._source("val", 0, shape, 0.0)

    def _source(self, split: str, seed: int, shape: ClipShape, reverse: float) -> ClipSource:
        return PlaygroundClips(
            split, seed, shape.size, shape.frames, shape.objects, shape.mask_stride, self.config.stride, reverse
        )


class RenderedScenes:
    """Playground scenes as clips of one frame; none is repeated."""

    count: int | None = None

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def training(self, shape: ClipShape) -> ClipSource:
        """Scenes of the training split."""
        return PlaygroundStills("train", self.seed, shape.size, shape.objects, shape.mask_stride)

    def validation(self, shape: ClipShape) -> ClipSource:
        """Scenes of the validation split."""
        return PlaygroundStills("val", 0, shape.size, shape.objects, shape.mask_stride)


class StillClips:
    """Still images that move."""

    def __init__(
        self, config: ClipSetConfig, seed: int, training: StillImages, validation: StillImages, count: int | None
    ) -> None:
        self.config, self.seed, self.count = config, seed, count
        self._training, self._validation = training, validation

    def training(self, shape: ClipShape) -> ClipSource:
        """Images of the training split."""
        return self._source(self._training, self.seed, shape)

    def validation(self, shape: ClipShape) -> ClipSource:
        """Images of the validation split, with motion."""
        return self._source(self._validation, 0, shape)

    def _source(self, stills: StillImages, seed: int, shape: ClipShape) -> ClipSource:
        motion = self.config.motion
        return MovingStills(stills, seed, shape.size, shape.frames, shape.objects, shape.mask_stride, motion)


class RecordedClips:
    """A data set of clips. training_set, validation_set: its records, split."""

    def __init__(self, config: ClipSetConfig, seed: int, validated: int) -> None:
        self.config, self.seed = config, seed
        self.transforms = [build_transform(item) for item in config.transforms]
        self.training_set, held_out = _read(config, seed)
        source = self._source(held_out, 0, ClipShape(64, 2, 1, 1))
        self.validation_set = usable_clips(source, validated, config.broken)
        self.count: int | None = len(self.validation_set)

    def training(self, shape: ClipShape) -> ClipSource:
        """Clips of the training split, in random order, over and over."""
        source = self._source(self.training_set, self.seed, shape)
        return replace(source, reverse=self.config.reverse, transforms=self.transforms, shuffle=True)

    def validation(self, shape: ClipShape) -> ClipSource:
        """Clips of the validation split, without augmentation."""
        return self._source(self.validation_set, 0, shape)

    def _source(self, data: ClipDataset, seed: int, shape: ClipShape) -> AnnotatedClips:
        return AnnotatedClips(
            data, seed, shape.size, shape.frames, shape.objects, shape.mask_stride, self.config.stride,
            between=self.config.between, shuffle=False,
        )  # fmt: skip


def _open_stills(config: ClipSetConfig, seed: int, validated: int) -> StillClips:
    shared = ("root", "split", "val_split", "held_out", "annotations", "images", "val_annotations", "val_images")
    values = {name: getattr(config, name) for name in (*shared, "broken")}
    source = "saco" if config.source == "saco" else "coco"
    training, validation = read_annotated(DataConfig(source=source, max_images=config.max_clips, **values), seed)
    validation = readable(validation, validated, config.broken)
    count = min(validated, len(validation))
    return StillClips(config, seed, DatasetStills(training, seed), DatasetStills(validation, shuffle=False), count)


def _read(config: ClipSetConfig, seed: int) -> tuple[ClipDataset, ClipDataset]:
    """The training and the validation set."""
    read, find = _READERS[config.source]
    if config.source == "sav":
        read = partial(read_sav_clips, automatic=config.automatic)
    root = expanded(config.root or ".")
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder")
    if config.source != "sav":  # its training set may have no folder of its own
        _require_split(root, config.split, find)
    training = read(root, config.split, config.broken)
    if _has_own_validation(config, root, find):
        validation = read(root, config.val_split, config.broken)
    else:
        training, validation = hold_out_clips(training, config.held_out)
    return few_clips(training, config.max_clips, seed), few_clips(validation, None, 0)


def _require_split(root: Path, split: str, find: Callable[[Path, str], object]) -> None:
    try:
        find(root, split)
    except DataError as error:
        raise DataError(f"data.split: there is no split {split!r}, set another one: {error}") from None


def _has_own_validation(config: ClipSetConfig, root: Path, find: Callable[[Path, str], object]) -> bool:
    """Whether there is a validation split. Raises ConfigError if one was named that does not exist."""
    if config.val_split == config.split:
        return False
    try:
        find(root, config.val_split)
    except DataError as error:
        if config.val_split == ClipSetConfig().val_split:
            return False
        raise ConfigError(f"data.val_split: there is no split {config.val_split!r}: {error}") from None
    return True
