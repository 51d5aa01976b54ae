"""DAVIS, MOSE and SA-V as samples: frames in JPEGImages, and the objects by the masks of their first frames."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from evals.samples import DatasetSplit, PromptedMask, Rle, VideoFiles, VideoSample
from sam3model.data.clip_layouts import VosFolders, davis_folders, mose_folders, sav_folders
from sam3model.data.dataset_paths import folders, frame_files, inside, png_names
from sam3model.data.label_maps import VOID, objects_of, read_labels, whole_mask
from sam3model.errors import DataError
from sam3model.metrics.overlap import rle_areas


def read_davis(dataset: DatasetSplit) -> list[VideoSample[None]]:
    """DAVIS 2017. Raises `DataError`."""
    return _samples(davis_folders(dataset.root, dataset.split), label_map_clip)


def read_mose(dataset: DatasetSplit) -> list[VideoSample[None]]:
    """MOSE. Raises `DataError`."""
    return _samples(mose_folders(dataset.root, dataset.split), label_map_clip)


def read_sav(dataset: DatasetSplit) -> list[VideoSample[None]]:
    """SA-V. Raises `DataError`."""
    return _samples(sav_folders(dataset.root, dataset.split), object_folder_clip)


def _samples(places: VosFolders, load: Callable[[VosFolders, str], VideoFiles]) -> list[VideoSample[None]]:
    return [VideoSample(video, partial(load, places, video), (), None) for video in places.videos]


def label_map_clip(places: VosFolders, video: str) -> VideoFiles:
    """A video with a label map per annotated frame. All frames are kept, since servers want them."""
    files, numbers = frame_files(inside(places.frames, video))
    first: dict[int, tuple[int, Rle]] = {}
    size: tuple[int, ...] | None = None
    void = False
    for name in png_names(inside(places.annotations, video)):
        labels = read_labels(places.annotations, video, name, size=size)
        size = labels.shape
        void |= bool((labels == VOID).any())
        frame = _number(numbers, places.annotations / video / name)
        for label, mask in objects_of(labels).items():
            first.setdefault(label, (frame, mask))
    if size is None or not first:
        why = f": its only label is {VOID} (void); give each object its own label, from 1" if void else ""
        raise DataError(f"{places.annotations / video} shows no object{why}")
    objects = tuple(PromptedMask(str(label), *first[label]) for label in sorted(first))
    return VideoFiles(files, tuple(range(len(files))), (size[0], size[1]), objects)


def object_folder_clip(places: VosFolders, video: str) -> VideoFiles:
    """A video with a folder of masks per object. Only annotated frames are kept."""
    files, numbers = frame_files(inside(places.frames, video))
    objects: list[PromptedMask] = []
    unseen: list[str] = []
    kept: set[int] = set()
    size: tuple[int, ...] | None = None
    for name in folders(inside(places.annotations, video)):
        known = False
        for file in png_names(inside(places.annotations, video, name)):
            frame = _number(numbers, places.annotations / video / name / file)
            kept.add(frame)
            if known:
                continue
            labels = read_labels(places.annotations, video, name, file, size=size)
            size = labels.shape
            mask = whole_mask(labels)
            if known := bool(rle_areas([mask])[0]):
                objects.append(PromptedMask(name, frame, mask))
        if not known:
            unseen.append(name)
    if size is None or not objects:
        raise DataError(f"{places.annotations / video} shows no object")
    return VideoFiles(files, tuple(sorted(kept)), (size[0], size[1]), tuple(objects), tuple(unseen), overlapping=True)


def _number(numbers: dict[str, int], annotation: Path) -> int:
    if annotation.stem not in numbers:
        raise DataError(f"{annotation} is the annotation of a frame that is missing")
    return numbers[annotation.stem]
