"""Tracks in the formats of others, made from the journal of a run: YTVIS and COCO-VID JSON, MOT text, DAVIS masks."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import ClipMedia
from sam3agent.render.palette import colour_of
from sam3agent.tracking.tracked_frames import FrameTracks, Rle, TrackedObject, visible
from sam3model.errors import OutputError
from sam3model.files import write_json, write_text

TrackFormat = Literal["davis", "coco-vid", "mot"]
FORMATS: tuple[TrackFormat, ...] = get_args(TrackFormat)

DAVIS_OBJECTS = 254
"""Highest id in a palette image: 0 is the background, 255 is void."""

UNNAMED = "object"
"""Category of objects without a phrase."""


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What files say of a clip. name: of its file or folder. size: width and height in pixels.

    frames: names of the image files of a folder, in order; empty for other clips.
    """

    name: str
    size: tuple[int, int]
    frames: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: ClipMedia) -> "ClipFacts":
        """The facts of a clip that was opened from a path."""
        from sam3model.frames.frame_folder import image_files

        path = Path(clip.name)
        names = tuple(file.name for file in image_files(path)) if path.is_dir() else ()
        return cls(path.resolve().name, clip.size, names)

    @property
    def video(self) -> str:
        """The name of the clip as data sets have it, without the ending of a file."""
        return self.name if self.frames else Path(self.name).stem

    def file_name(self, frame: int) -> str:
        """The name of a frame, as data sets of frames have them."""
        return f"{self.video}/{self.frames[frame] if self.frames else f'{frame:05d}.jpg'}"

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the image files without endings; empty if there are none, or some differ in their endings only."""
        stems = tuple(Path(name).stem for name in self.frames)
        return stems if len(set(stems)) == len(stems) else ()


@dataclass
class Track:
    """One object through all frames. sightings: position among the tracked frames -> its state there, if visible."""

    id: int
    phrase: str | None
    score: float
    sightings: dict[int, TrackedObject] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """Position of the frame with its largest mask."""
        return max(self.sightings, key=lambda position: self.sightings[position].area)


def collect_tracks(frames: Iterable[FrameTracks]) -> list[Track]:
    """The tracks of objects that are visible at least once, ascending by id."""
    tracks: dict[int, Track] = {}
    for position, frame in enumerate(frames):
        for seen in visible(frame.objects):
            track = tracks.setdefault(seen.id, Track(seen.id, seen.phrase, seen.score))
            track.sightings[position] = seen
    return [tracks[number] for number in sorted(tracks)]


def ytvis(clip: ClipFacts, frames: list[FrameTracks], info: Mapping[str, Any]) -> dict[str, Any]:
    """YTVIS annotations with one video, which are also results: each track has a score, and a score per frame.

    `frames` and `times` of the video give the number in the clip, and seconds from its start, of every item of a list.
    """
    tracks, (width, height) = collect_tracks(frames), clip.size
    categories = _categories(tracks)
    video = {
        "id": 1, "width": width, "height": height, "length": len(frames), "source": clip.name,
        "file_names": [clip.file_name(frame.frame) for frame in frames],
        "frames": [frame.frame for frame in frames], "times": [round(frame.time, 6) for frame in frames],
    }  # fmt: skip
    annotations = [
        {
            "id": track.id, "video_id": 1, "category_id": categories[track.phrase or UNNAMED], "iscrowd": 0,
            "width": width, "height": height, "length": len(frames), "phrase": track.phrase,
            "score": round(track.score, 4), **_per_frame(track, len(frames)),
        }
        for track in tracks
    ]  # fmt: skip
    return {"info": dict(info), "videos": [video], "categories": _listed(categories), "annotations": annotations}


def coco_vid(clip: ClipFacts, frames: list[FrameTracks]) -> dict[str, Any]:
    """COCO-VID annotations: an image for each frame, an annotation for each mask; `instance_id` is the track."""
    categories, (width, height) = _categories(collect_tracks(frames)), clip.size
    video = {"id": 1, "name": clip.video, "width": width, "height": height}
    images = [
        {
            "id": position, "video_id": 1, "frame_id": position - 1, "file_name": clip.file_name(frame.frame),
            "width": width, "height": height, "source_frame": frame.frame, "time": round(frame.time, 6),
        }
        for position, frame in enumerate(frames, start=1)
    ]  # fmt: skip
    seen = ((position, one) for position, frame in enumerate(frames, start=1) for one in visible(frame.objects))
    annotations = [
        {
            "id": number, "image_id": position, "video_id": 1, "category_id": categories[one.phrase or UNNAMED],
            "instance_id": one.id, "bbox": _xywh(one.box), "area": one.area, "segmentation": dict(one.rle),
            "score": round(one.score, 4), "iscrowd": 0,
        }
        for number, (position, one) in enumerate(seen, start=1)
    ]  # fmt: skip
    return {"videos": [video], "images": images, "categories": _listed(categories), "annotations": annotations}


def mot_lines(frames: Iterable[FrameTracks]) -> Iterator[str]:
    """MOTChallenge lines `frame, id, left, top, width, height, confidence, -1, -1, -1`; frames count from 1."""
    for frame in frames:
        for one in visible(frame.objects):
            box = ",".join(map(str, _xywh(one.box)))
            yield f"{frame.frame + 1},{one.id},{box},{one.score:.4f},-1,-1,-1\n"


def write_davis(folder: Path, clip: ClipFacts, frames: Iterable[FrameTracks]) -> int:
    """A palette PNG for each frame with ids as indices; the number of objects left out because their id is too high.

    Files have the names of the image files, or numbers. The folder is replaced as a whole.

    Raises:
        OutputError: it cannot be written.
    """
    left_out, stems = set[int](), clip.stems
    with _replacing_folder(folder) as temporary:
        for frame in frames:
            left_out |= {one.id for one in visible(frame.objects) if one.id > DAVIS_OBJECTS}
            path = temporary / f"{stems[frame.frame] if stems else f'{frame.frame:05d}'}.png"
            _palette_image(frame, clip.size).save(path, "PNG", compress_level=3)
    return len(left_out)


def write_tracks(path: Path, clip: ClipFacts, frames: list[FrameTracks], info: Mapping[str, Any]) -> None:
    """Write `tracks.json`. Raises `OutputError`."""
    write_json(path, ytvis(clip, frames, info))


def write_format(name: TrackFormat, folder: Path, clip: ClipFacts, frames: list[FrameTracks]) -> tuple[Path, int]:
    """Write one more format; its file or folder, and the number of objects left out of it. Raises `OutputError`."""
    match name:
        case "davis":
            return folder / "davis", write_davis(folder / "davis", clip, frames)
        case "coco-vid":
            write_json(folder / "coco-vid.json", coco_vid(clip, frames))
            return folder / "coco-vid.json", 0
        case "mot":
            write_text(folder / "mot.txt", "".join(mot_lines(frames)))
            return folder / "mot.txt", 0


def delete_run(folder: Path) -> None:
    """Delete the journal of a run and all that was made from it. Raises `OutputError` if that fails."""
    try:
        for name in ("track.jsonl", "tracks.json", "overlay.mp4", "preview.png", "coco-vid.json", "mot.txt"):
            (folder / name).unlink(missing_ok=True)
        if (folder / "davis").is_dir():
            shutil.rmtree(folder / "davis")
    except OSError as error:
        raise OutputError(f"cannot delete the run in {folder}: {error.strerror}") from error


def _per_frame(track: Track, length: int) -> dict[str, list[Any]]:
    """Lists with an item for each frame, null where the object is hidden."""
    masks: list[Rle | None] = [None] * length
    boxes: list[list[int] | None] = [None] * length
    areas: list[int | None] = [None] * length
    scores: list[float | None] = [None] * length
    for position, seen in track.sightings.items():
        masks[position] = dict(seen.rle)
        boxes[position] = _xywh(seen.box)
        areas[position] = seen.area
        scores[position] = round(seen.visibility, 4)
    return {"segmentations": masks, "bboxes": boxes, "areas": areas, "scores": scores}


def _categories(tracks: Iterable[Track]) -> dict[str, int]:
    names = dict.fromkeys(track.phrase or UNNAMED for track in tracks)
    return {name: number for number, name in enumerate(names, start=1)}


def _listed(categories: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name} for name, number in categories.items()]


def _xywh(box: Box) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def _palette_image(frame: FrameTracks, size: tuple[int, int]) -> Any:
    from PIL import Image

    labels = np.zeros((size[1], size[0]), np.uint8)
    for one in frame.objects:
        mask = one.mask if one.id <= DAVIS_OBJECTS else None
        if mask is not None:
            x0, y0, x1, y1 = mask.box
            labels[y0:y1, x0:x1][mask.crop] = one.id
    image = Image.fromarray(labels).convert("P")
    image.frombytes(labels.tobytes())
    image.putpalette([0, 0, 0, *(level for number in range(1, 256) for level in colour_of(number))])
    return image


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` when the block succeeds. Raises `OutputError` if it cannot."""
    temporary = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
