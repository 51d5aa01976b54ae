"""Clips of YouTube-VIS, LV-VIS and SA-Co/VEval: frames in folders, and a mask or null per frame in one JSON file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from sam3model.data.clip_annotations import AnnotatedClip, ClipDataset, ClipRecord, TrackMasks
from sam3model.data.clip_faults import ClipFaults
from sam3model.data.clip_frames import FrameFiles
from sam3model.data.clip_layouts import (
    VEVAL_FRAMES,
    VIS_FRAMES,
    lvvis_annotations,
    veval_annotations,
    ytvis_annotations,
)
from sam3model.data.coco_fields import identifier, normalised, side
from sam3model.data.coco_file import Row, by_id, class_name, class_phrase, grouped, key, read_json, required, table
from sam3model.data.segmentations import Rle, coco
from sam3model.errors import DataError

Size = tuple[int, int]


def read_ytvis_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of YouTube-VIS. Raises `DataError`: not in this format, or more than `broken` of it is unusable."""
    return _read(ytvis_annotations(root, split), _folders(root, split, VIS_FRAMES), broken)


def read_lvvis_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of LV-VIS. Raises `DataError`: not in this format, or more than `broken` of it is unusable."""
    return _read(lvvis_annotations(root, split), _folders(root, split, VIS_FRAMES), broken)


def read_veval_clips(root: Path, split: str, broken: float = 0.1) -> ClipDataset:
    """The videos of SA-Co/VEval. Raises `DataError`: not in this format, or more than `broken` of it is unusable."""
    return _read(veval_annotations(root, split), _folders(root, split, VEVAL_FRAMES), broken)


def _folders(root: Path, split: str, names: Iterable[str]) -> list[Path]:
    return [root / name.format(split=split) for name in names]


def _read(path: Path, folders: Sequence[Path], broken: float) -> ClipDataset:
    """Videos without any annotated object are left out, and crowds too."""
    content = read_json(path)
    phrases = category_phrases(content, path)
    faults, clips = ClipFaults(), list[ClipRecord]()
    videos = [normalised(row) for row in table(content, "videos", path)]
    rows = _objects(content, path, {key(row, "id") for row in videos} - {None}, faults)
    seen = set[int | str]()
    for place, row in enumerate(tqdm(videos, desc=path.name, unit="clip", disable=None, leave=False)):
        if (number := key(row, "id")) is None or number in seen:
            faults.clips.note("'id' is missing or not unique", f"videos[{place}]")
            continue
        seen.add(number)
        if number in rows and (clip := _clip(row, str(number), rows[number], phrases, folders, faults)):
            clips.append(ClipRecord.of(clip))
    return faults.checked(str(path), clips, len(videos), broken)


def _objects(
    content: object, path: Path, videos: Collection[int | str | None], faults: ClipFaults
) -> dict[int | str | None, list[Row]]:
    """The annotations of objects by video; those of a video that the file lacks are faults."""
    rows = [normalised(row) for row in table(content, "annotations", path)]
    rows = [row for row in rows if not row.get("iscrowd")]
    faults.object_count += len(rows)
    for place, row in enumerate(rows):
        if key(row, "video_id") not in videos:
            faults.objects.note("'video_id' is not in the file", f"annotation {row.get('id', f'number {place}')}")
    return grouped(rows, "video_id")


def category_phrases(content: object, path: Path) -> dict[int | str | None, str]:
    """The phrase of every category of a file. Raises `DataError`, also if two categories have one id."""
    rows = map(normalised, table(content, "categories", path))
    named = ((key(row, "id"), class_name(row, f"{path}: category {row.get('id')}")) for row in rows)
    return by_id(((number, class_phrase(name)) for number, name in named), path)


def phrase_of(category: object, phrases: Mapping[int | str | None, str]) -> str | None:
    """The phrase of a category id as a file has it; None for an unknown one, or for what is no id."""
    category = identifier(category)
    return phrases.get(category) if isinstance(category, int | str) else None


def _clip(
    row: Row, name: str, rows: Iterable[Row], phrases: Mapping, folders: Sequence[Path], faults: ClipFaults
) -> AnnotatedClip | None:
    """A video with its objects; None after a fault, or if no object has a mask."""
    try:
        size = clip_size(row)
        names = required(row, "file_names", list, "")
        files = faults.located(name, names, folders)
    except DataError as error:
        return faults.clips.note(str(error).removeprefix(": "), f"clip {name}")
    tracks: dict[str, Mapping[int, Rle | None]] = {}
    objects: dict[str, str] = {}
    for annotation in rows:
        if (track := _track(annotation, size, len(files), faults)) is not None:
            label = str(annotation.get("id", f"number {len(tracks)}"))
            if tracks.setdefault(label, track) != track:
                label = f"{label}, number {len(tracks)}"
                tracks[label] = track
            phrase = annotation.get("noun_phrase") or phrase_of(annotation.get("category_id"), phrases)
            objects |= {label: phrase} if isinstance(phrase, str) else {}
    if not any(mask is not None for track in tracks.values() for mask in track.values()):
        return None
    return AnnotatedClip(name, size, FrameFiles(files, size), tuple(range(len(files))), TrackMasks(tracks), objects)


def clip_size(row: Row) -> Size:
    """Width and height of a clip; raises `DataError`, a short reason."""
    width, height = side(row.get("width")), side(row.get("height"))
    if not width or not height:
        raise DataError("'width' or 'height' is invalid")
    return width, height


def _track(row: Row, size: Size, count: int, faults: ClipFaults) -> dict[int, Rle | None] | None:
    """Masks by frame of one object; None for an unusable mask. None in all after a fault."""
    where, values = f"annotation {row.get('id')}", row.get("segmentations")
    if not isinstance(values, list) or len(values) != count:
        return faults.objects.note("'segmentations' does not have one entry per frame", where)
    track: dict[int, Rle | None] = {}
    for t, value in enumerate(values):
        if value:
            mask = track[t] = faults.mask(value, size, f"{where}, frame {t}")
            if mask is not None and not coco.area(mask):
                del track[t]
    return track
