"""Clips of BURST: frames in folders, and masks of some of them in one JSON file with `sequences`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset, ClipRecord, TrackMasks
from sam3model.data.clip_faults import ClipFaults
from sam3model.data.clip_frames import FrameFiles
from sam3model.data.clip_layouts import BURST_FRAMES, burst_annotations
from sam3model.data.clip_vis_reader import Size, category_phrases, clip_size, phrase_of
from sam3model.data.coco_file import Row, read_json, required, table
from sam3model.data.dataset_layout import image_path
from sam3model.data.segmentations import Rle, coco
from sam3model.errors import DataError
from sam3model.frames.frame_folder import natural_key


def read_burst_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The sequences of BURST, with the frames between annotated ones if they are listed and there.

    Raises:
        DataError: not in this format, or more than the fraction `broken` of it is unusable.
    """
    path = burst_annotations(root, split)
    content = read_json(path)
    phrases = category_phrases(content, path)
    faults, clips, seen = ClipFaults(), list[ClipRecord](), set[str]()
    rows = table(content, "sequences", path)
    for row in tqdm(rows, desc=path.name, unit="clip", disable=None, leave=False):
        name = f"{row.get('dataset')}/{row.get('seq_name')}"
        if name in seen:
            faults.clips.note("its name is not unique", f"clip {name}, again")
            continue
        seen.add(name)
        folders = [root / folder.format(split=split) / name for folder in BURST_FRAMES]
        try:
            if clip := _clip(row, name, folders, phrases, faults):
                clips.append(ClipRecord.of(clip))
        except DataError as error:
            faults.clips.note(str(error).removeprefix(": "), f"clip {name}")
    return faults.checked(str(path), clips, len(rows), broken)


def _clip(row: Row, name: str, folders: Sequence[Path], phrases: Mapping, faults: ClipFaults) -> AnnotatedClip | None:
    """A sequence with its objects; None if it has none. Raises `DataError`, a short reason."""
    size = clip_size(row)
    names, segments = (required(row, key, list, "") for key in ("annotated_image_paths", "segmentations"))
    if len(names) != len(segments):
        raise DataError("'segmentations' does not have one entry per annotated frame")
    if len(set(map(str, names))) < len(names):
        raise DataError("'annotated_image_paths' has a frame twice")
    files = dict(zip(names, faults.located(name, names, folders), strict=True))
    others = row.get("all_image_paths")
    if isinstance(others, list) and all(isinstance(one, str) for one in others):
        between = {one: image_path(one, folders) for one in others if one not in files}
        files |= {one: file for one, file in between.items() if file}
    ordered = sorted(files, key=lambda one: natural_key(Path(one)))
    tracks = _tracks(zip(names, segments, strict=True), {one: t for t, one in enumerate(ordered)}, name, size, faults)
    if not tracks:
        return None
    numbers = tuple(sorted(ordered.index(one) for one in names))
    frames = FrameFiles([files[one] for one in ordered], size)
    return AnnotatedClip(name, size, frames, numbers, TrackMasks(tracks), _phrases(row, tracks, phrases))


def _tracks(
    annotated: Iterable[tuple[str, Any]], numbers: Mapping[str, int], name: str, size: Size, faults: ClipFaults
) -> dict[str, dict[int, Rle | None]]:
    """Masks by object and frame number; None for an unusable mask. Raises `DataError`, a short reason."""
    tracks: dict[str, dict[int, Rle | None]] = {}
    for frame, segments in annotated:
        if not isinstance(segments, Mapping):
            raise DataError("'segmentations' holds something other than objects")
        for track, segment in segments.items():
            counts = segment.get("rle") if isinstance(segment, Mapping) else None
            value = {"size": [size[1], size[0]], "counts": counts}
            mask = faults.mask(value, size, f"clip {name}, frame {frame}, track {track}")
            if mask is None or coco.area(mask):
                tracks.setdefault(track, {})[numbers[frame]] = mask
    return {track: masks for track, masks in tracks.items() if any(masks.values())}


def _phrases(row: Row, tracks: Iterable[str], phrases: Mapping) -> dict[str, str]:
    classes = row.get("track_category_ids")
    classes = classes if isinstance(classes, Mapping) else {}
    found = {track: phrase_of(classes.get(track), phrases) for track in tracks}
    return {track: phrase for track, phrase in found.items() if phrase}
