"""Clips of DAVIS, MOSE and SA-V in folders: frames as images, and label maps or a folder of masks per object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset, ClipRecord, FrameMasks
from sam3model.data.clip_faults import TOO_FEW, ClipFaults
from sam3model.data.clip_frames import FrameFiles
from sam3model.data.clip_layouts import VosFolders, davis_folders, mose_folders, sav_folders
from sam3model.data.dataset_paths import folders, frame_files, png_names
from sam3model.data.image_files import UNREADABLE
from sam3model.data.label_maps import VOID, NoLabelsError, read_labels
from sam3model.errors import DataError, InputError
from sam3model.frames.image_arrays import image_file_size

NO_FRAMES = "its folder of frames cannot be read"
NO_MASKS = "its folder of masks cannot be read"
BROKEN_MASK = "mask file is unreadable"
NO_LABELS = "mask file is no indexed or 8-bit grey PNG of labels"
ONLY_VOID = f"mask files have only label {VOID}, which is void: give each object its own label, from 1"
MASK_SIZE = "mask file has another size than the frame"
UNKNOWN_FRAME = "masks are those of a missing frame"


def read_davis_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of DAVIS 2017 at 480p. Raises `DataError`: a folder is missing, or too many clips are unusable."""
    return _read(root, davis_folders(root, split), label_map_clip, broken)


def read_mose_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of MOSE, or of YouTube-VOS, which has the same layout. Raises `DataError`, as for DAVIS."""
    return _read(root, mose_folders(root, split), label_map_clip, broken)


def read_sav_folder_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of SA-V whose frames and masks are in folders. Raises `DataError`, as for DAVIS."""
    return _read(root, sav_folders(root, split), object_folder_clip, broken)


def _read(
    root: Path, places: VosFolders, open_clip: Callable[[VosFolders, str], AnnotatedClip], broken: float
) -> ClipDataset:
    """The listed videos whose folders are there; their files are read when a clip is opened."""
    faults, clips = ClipFaults(), list[ClipRecord]()
    for name in places.videos:
        if not (places.frames / name).is_dir():
            faults.clips.note(NO_FRAMES, f"clip {name}")
        elif not (places.annotations / name).is_dir():
            faults.clips.note(NO_MASKS, f"clip {name}")
        else:
            clips.append(ClipRecord(name, partial(open_clip, places, name)))
    return faults.checked(str(root), clips, len(places.videos), broken)


def label_map_clip(places: VosFolders, name: str) -> AnnotatedClip:
    """A video with a label map per annotated frame. Raises `DataError`, a short reason."""
    files, numbers = _frames(places.frames / name)
    maps = {numbers[Path(png).stem]: png for png in _pngs(places.annotations / name) if Path(png).stem in numbers}
    size = _size(files)
    masks = LabelMaps(places.annotations, name, maps, size)
    return _checked(AnnotatedClip(name, size, FrameFiles(files, size), tuple(sorted(maps)), masks))


def object_folder_clip(places: VosFolders, name: str) -> AnnotatedClip:
    """A video with a folder of masks per object, which may overlap. Raises `DataError`, a short reason."""
    files, numbers = _frames(places.frames / name)
    folder = places.annotations / name
    try:
        found = {one: png_names(folder / one) for one in folders(folder)}
    except DataError:
        raise DataError(NO_MASKS) from None
    by_object = {
        one: {numbers[Path(png).stem]: png for png in pngs if Path(png).stem in numbers} for one, pngs in found.items()
    }
    size = _size(files)
    annotated = tuple(sorted({t for maps in by_object.values() for t in maps}))
    masks = ObjectFolders(places.annotations, name, by_object, size)
    return _checked(AnnotatedClip(name, size, FrameFiles(files, size), annotated, masks))


@dataclass(slots=True)
class LabelMaps:
    """Masks from a PNG per frame, with a label per object. Labels that are missing are hidden objects.

    A frame with void pixels alone shows no object, like one without labels; a clip without any other label is unusable.
    """

    root: Path
    clip: str
    maps: Mapping[int, str]
    size: tuple[int, int]
    _labelled: bool | None = field(default=None, init=False)
    """Whether any frame has a label of an object; None: not known yet."""

    def __call__(self, t: int) -> FrameMasks:
        """The masks on frame `t`. Raises `DataError`, a short reason."""
        labels = self._read(t)
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1)).tolist()
        masks = {str(label): labels == label for label in present if 0 < label < VOID}
        if masks:
            self._labelled = True
        elif VOID in present and not self._any_label():
            raise DataError(ONLY_VOID)
        return FrameMasks(masks)

    def _any_label(self) -> bool:
        """Whether any frame has a label of an object; reads frames up to the first that has, once in a clip."""
        if self._labelled is None:
            self._labelled = any(map(self._has_label, self.maps))
        return self._labelled

    def _has_label(self, t: int) -> bool:
        try:
            labels = self._read(t)
        except DataError:
            return False  # a fault of that frame
        return bool(((labels > 0) & (labels < VOID)).any())

    def _read(self, t: int) -> np.ndarray:
        return _labels(self.root, (self.clip, self.maps[t]), self.size)


@dataclass(frozen=True, slots=True)
class ObjectFolders:
    """Masks from a folder of PNGs per object. Nothing is known about an object without a PNG for a frame."""

    root: Path
    clip: str
    maps: Mapping[str, Mapping[int, str]]
    size: tuple[int, int]

    def __call__(self, t: int) -> FrameMasks:
        """The masks on frame `t`. Raises `DataError`, a short reason."""
        masks = {
            name: _labels(self.root, (self.clip, name, maps[t]), self.size) > 0
            for name, maps in self.maps.items()
            if t in maps
        }
        return FrameMasks(masks, frozenset(self.maps.keys() - masks.keys()))


def _labels(root: Path, names: tuple[str, ...], size: tuple[int, int]) -> np.ndarray:
    try:
        labels = read_labels(root, *names)
    except NoLabelsError:
        raise DataError(NO_LABELS) from None
    except DataError:
        raise DataError(BROKEN_MASK) from None
    if labels.shape != (size[1], size[0]):
        raise DataError(MASK_SIZE)
    return labels


def _frames(folder: Path) -> tuple[tuple[Path, ...], dict[str, int]]:
    try:
        return frame_files(folder)
    except DataError:
        raise DataError(NO_FRAMES) from None


def _pngs(folder: Path) -> list[str]:
    try:
        return png_names(folder)
    except DataError:
        raise DataError(NO_MASKS) from None


def _size(files: tuple[Path, ...]) -> tuple[int, int]:
    """Width and height of the frames, from the first one that can be read."""
    for file in files:
        try:
            return image_file_size(file)
        except InputError:
            continue
    raise DataError(UNREADABLE)


def _checked(clip: AnnotatedClip) -> AnnotatedClip:
    """The clip. Raises `DataError` if fewer than 2 frames are there, or none is annotated."""
    if clip.frames.count < 2:
        raise DataError(TOO_FEW)
    if not clip.annotated:
        raise DataError(UNKNOWN_FRAME)
    return clip
