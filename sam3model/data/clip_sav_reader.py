"""Clips of the training set of SA-V: a video file and JSON files of masks at a quarter of its frame rate.

sav_000001.mp4, or a folder sav_000001 of its frames, as 00000.jpg
sav_000001_manual.json, sav_000001_auto.json    `masklet`: for each annotated frame, an RLE per object
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset, ClipFrames, ClipRecord, FrameMasks, ObjectMask
from sam3model.data.clip_faults import TOO_FEW, ClipFaults
from sam3model.data.clip_folder_reader import NO_FRAMES, read_sav_folder_clips
from sam3model.data.clip_frames import FrameFiles, VideoFrames
from sam3model.data.clip_layouts import sav_split
from sam3model.data.coco_file import read_json
from sam3model.data.dataset_paths import frame_files
from sam3model.data.segmentations import coco, read_rle
from sam3model.errors import DataError

EVERY = 4
"""Frames from one annotated frame to the next."""
NO_VIDEO = "its video or folder of frames is missing"
NOT_SAV = "its JSON file is not in the format of SA-V"
_SUFFIX = "_manual.json"


def read_sav_clips(root: Path, split: str, broken: float = 0.1, automatic: bool = False) -> ClipDataset:
    """The videos of SA-V: JSON files under `root/sav_SPLIT` or `root/SPLIT`, or for training `root`; or folders.

    automatic: also use the masks that were made automatically.

    Raises:
        DataError: there are no annotations, or more than the fraction `broken` of the clips is unusable.
    """
    if (root / f"sav_{split}" / "Annotations_6fps").is_dir():
        return read_sav_folder_clips(root, split, broken)
    try:
        base = sav_split(root, split)
    except DataError:
        if split != "train":
            raise
        base = root
    faults, clips = ClipFaults(), list[ClipRecord]()
    files = sorted(base.rglob(f"*{_SUFFIX}"))
    if not files:
        raise DataError(f"{base} has no SA-V annotations: neither VIDEO{_SUFFIX} files nor Annotations_6fps")
    for file in files:
        name = file.name.removesuffix(_SUFFIX)
        if (place := _frames_of(file.parent, name)) is None:
            faults.clips.note(NO_VIDEO, f"clip {name}")
        else:
            clips.append(ClipRecord(name, partial(_open, file, place, automatic)))
    return faults.checked(str(base), clips, len(files), broken)


def _frames_of(folder: Path, name: str) -> Path | None:
    """The video of this name, or the folder of its frames."""
    places = [folder / f"{name}.mp4", folder / name]
    places += [top / f"JPEGImages_{rate}fps" / name for top in (folder, folder.parent) for rate in (24, 6)]
    return next((place for place in places if place.exists()), None)


@dataclass(frozen=True, slots=True)
class SavMasks:
    """Masks of annotated frames, `every` frames apart. rows: RLEs by frame and object, for each prefix of names."""

    rows: dict[str, list[Any]]
    every: int
    size: tuple[int, int]

    def __call__(self, t: int) -> FrameMasks:
        """The masks on frame `t`. Raises `DataError`, a short reason."""
        masks: dict[str, ObjectMask] = {}
        unknown: set[str] = set()
        for prefix, frames in self.rows.items():
            row = frames[t // self.every] if t // self.every < len(frames) else []
            if not isinstance(row, list):
                raise DataError(NOT_SAV)
            for k in range(max(map(_length, frames), default=0)):
                value = row[k] if k < len(row) else None
                if not isinstance(value, dict):
                    unknown.add(f"{prefix} {k}")
                elif coco.area(mask := read_rle(value, self.size)):
                    masks[f"{prefix} {k}"] = mask
        return FrameMasks(masks, frozenset(unknown))


def _open(file: Path, place: Path, automatic: bool) -> AnnotatedClip:
    """Raises `DataError`, a short reason."""
    name = file.name.removesuffix(_SUFFIX)
    content = _content(file)
    rows = {"manual": _masklet(content)}
    other = file.with_name(f"{name}_auto.json")
    if automatic and other.is_file():
        rows["automatic"] = _masklet(_content(other))
    size = _side(content, "video_width"), _side(content, "video_height")
    total = max(map(len, rows.values()))
    if not total:
        raise DataError(NOT_SAV)
    frames, every = _frames(place, size, total)
    if frames.count < 2:
        frames.close()
        raise DataError(TOO_FEW)
    return AnnotatedClip(name, size, frames, tuple(range(0, total * every, every)), SavMasks(rows, every, size))


def _content(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except DataError:
        raise DataError("its JSON file is unreadable") from None
    if not isinstance(content, dict):
        raise DataError(NOT_SAV)
    return content


def _masklet(content: dict[str, Any]) -> list[Any]:
    rows = content.get("masklet")
    if not isinstance(rows, list):
        raise DataError(NOT_SAV)
    return rows


def _side(content: dict[str, Any], name: str) -> int:
    value = content.get(name)  # a float in the files
    if not isinstance(value, int | float) or not 0 < value <= 1 << 16:
        raise DataError(NOT_SAV)
    return int(value)


def _frames(place: Path, size: tuple[int, int], annotated: int) -> tuple[ClipFrames, int]:
    """The frames, and the distance of annotated ones, which is 1 if only these were extracted to a folder."""
    if place.is_file():
        return VideoFrames(place, size), EVERY
    try:
        files, _ = frame_files(place)
    except DataError:
        raise DataError(NO_FRAMES) from None
    numbers = [int(file.stem) if file.stem.isdecimal() else t for t, file in enumerate(files)]
    if len(files) == annotated and numbers == list(range(annotated)):
        return FrameFiles(files, size), 1
    return FrameFiles(_by_number(files, numbers), size), EVERY


def _by_number(files: Sequence[Path], numbers: Sequence[int]) -> list[Path | None]:
    found = dict(zip(numbers, files, strict=True))
    if max(numbers) >= 1 << 20:
        raise DataError(NO_FRAMES)
    return [found.get(t) for t in range(max(numbers) + 1)]


def _length(row: Any) -> int:
    return len(row) if isinstance(row, list) else 0
