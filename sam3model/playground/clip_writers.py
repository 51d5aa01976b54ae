"""Writers of clips in the layouts of video data sets; `clip_export` lists the folders of each.

Every writer takes a folder, the name of the subset and clips with their names. It writes the frames and masks of one
clip after the other, and the file that lists them last; it returns the path of that file. Raises `OutputError`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sam3model.files import replacing, write_json, write_text
from sam3model.frames import ClipWriter
from sam3model.ops.masks import decode_rle, encode_rle, mask_to_box
from sam3model.playground.clip import Clip, ClipFrame
from sam3model.playground.clip_phrases import clip_phrases
from sam3model.playground.clip_questions import clip_questions
from sam3model.playground.dice import VERSION
from sam3model.playground.kinds import KINDS

NamedClips = Iterable[tuple[str, Clip]]
Masklet = list[dict[str, Any] | None]
"""RLE on every frame, None where the object is not visible."""

JPEG_QUALITY = 95
EVERY = 4
"""Frames from one annotated frame of SA-V to the next."""
CATEGORIES = {name: number for number, name in enumerate(KINDS, start=1)}


def write_ytvis(folder: Path, subset: str, clips: NamedClips) -> Path:
    """YouTube-VIS: one JSON file with a track per object, whose category is its kind."""
    videos, annotations = [], []
    for number, (name, shown) in enumerate(clips, start=1):
        videos.append(_video(number, name, shown))
        tracks = save_frames(folder / subset / "JPEGImages" / name, shown)
        for obj in shown.objects:
            if obj.id in tracks:
                row = {"video_id": number, "category_id": CATEGORIES[obj.kind], **_track(shown, tracks[obj.id])}
                annotations.append({"id": len(annotations) + 1, **row})
    categories = [{"id": number, "name": name, "supercategory": "object"} for name, number in CATEGORIES.items()]
    content = {"info": _info(), "videos": videos, "categories": categories, "annotations": annotations}
    write_json(folder / f"{subset}.json", content)
    return folder / f"{subset}.json"


def write_files(folder: Path, subset: str, clips: NamedClips) -> Path:
    """A file per clip, to watch and to ask about, and a JSON file with questions and their answers."""
    questions = dict[str, Any]()
    for name, shown in clips:
        path = folder / subset / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with ClipWriter(path, shown.size, shown.rate) as writer:
            for t in range(shown.count):
                writer.write(shown.frame(t).image)
        questions[name] = [{"question": one.text, "objects": list(one.ids)} for one in clip_questions(shown)]
    write_json(folder / f"{subset}.json", questions)
    return folder / f"{subset}.json"


def write_veval(folder: Path, subset: str, clips: NamedClips) -> Path:
    """SA-Co/VEval: noun phrases per video as categories, and a track for every object that matches one."""
    videos, annotations, pairs = [], [], []
    categories: dict[str, int] = {}
    for number, (name, shown) in enumerate(clips, start=1):
        videos.append(_video(number, name, shown))
        tracks = save_frames(folder / "media/saco_sav/JPEGImages_24fps" / name, shown)
        phrases = {query.phrase: [i for i in query.ids if i in tracks] for query in clip_phrases(shown)}
        for phrase, ids in phrases.items():
            category = categories.setdefault(phrase, len(categories) + 1)
            pair = {"video_id": number, "category_id": category, "noun_phrase": phrase}
            pairs.append({"id": len(pairs) + 1, **pair, "num_masklets": len(ids)})
            for obj in ids:
                row = {**pair, **_track(shown, tracks[obj])}
                annotations.append({"id": len(annotations) + 1, **row})
    content = {
        "info": _info(), "videos": videos, "annotations": annotations, "video_np_pairs": pairs,
        "categories": [{"id": number, "name": phrase} for phrase, number in categories.items()],
    }  # fmt: skip
    path = folder / "annotation" / f"saco_veval_{subset}.json"
    write_json(path, content)
    return path


def write_davis(folder: Path, subset: str, clips: NamedClips) -> Path:
    """DAVIS 2017 at 480p: label maps as indexed PNG files. Label 1 + i is object i."""
    names = []
    for name, shown in clips:
        for t, frame in _frames(shown):
            _save_jpeg(frame, folder / "JPEGImages/480p" / name / f"{t:05d}.jpg")
            _save_labels(frame.owners, folder / "Annotations/480p" / name / f"{t:05d}.png")
        names.append(name)
    return _listing(folder / "ImageSets/2017" / f"{subset}.txt", names)


def write_sav(folder: Path, subset: str, clips: NamedClips) -> Path:
    """SA-V as it is evaluated: frames as JPEG files, and a folder of masks per object on the annotated frames."""
    root, names = folder / f"sav_{subset}", []
    for name, shown in clips:
        annotated = annotated_frames(shown.count)
        owners = []
        for t, frame in _frames(shown):
            _save_jpeg(frame, root / "JPEGImages_24fps" / name / f"{t:05d}.jpg")
            owners += [(t, frame.owners)] if t in annotated else []
        seen = {int(label) for _, labels in owners for label in np.unique(labels)} - {0}
        for label in sorted(seen):
            for t, labels in owners:
                path = root / "Annotations_6fps" / name / f"{label - 1:03d}" / f"{t:05d}.png"
                _save_labels((labels == label).astype(np.uint8), path)
        names.append(name)
    return _listing(root / f"sav_{subset}.txt", names)


def write_sav_train(folder: Path, subset: str, clips: NamedClips) -> Path:
    """SA-V as it is trained on: an mp4 file per clip, and a JSON file with its masklets on the annotated frames."""
    root, names = folder / f"sav_{subset}", []
    for name, shown in clips:
        masks: list[list[dict[str, Any]]] = []
        with ClipWriter(root / f"{name}.mp4", shown.size, shown.rate) as writer:
            for t, frame in _frames(shown):
                writer.write(frame.image)
                if t % EVERY == 0:
                    masks.append([encode_rle(frame.owners == obj.id + 1) for obj in shown.objects])
        write_json(root / f"{name}_manual.json", _masklets(name, shown, masks))
        names.append(name)
    return _listing(root / f"sav_{subset}.txt", names)


def annotated_frames(count: int) -> range:
    """The annotated frames of a clip of SA-V: every fourth, or more in short clips, since two of them are not scored.

    >>> list(annotated_frames(14)), list(annotated_frames(8))
    ([0, 4, 8, 12], [0, 2, 4, 6])
    """
    return range(0, count, max(1, min(EVERY, count // 3)))


def save_frames(folder: Path, shown: Clip) -> dict[int, Masklet]:
    """Write the frames of a clip as `00000.jpg` and so on; returns the masks of every object that is ever visible."""
    tracks: dict[int, Masklet] = {}
    for t, frame in _frames(shown):
        _save_jpeg(frame, folder / f"{t:05d}.jpg")
        for label in np.unique(frame.owners):
            if label:
                tracks.setdefault(int(label) - 1, [None] * shown.count)[t] = encode_rle(frame.owners == label)
    return tracks


def palette() -> list[int]:
    """The usual 256 colours of label maps (PASCAL VOC, DAVIS), as red, green, blue of each in turn."""
    labels = np.arange(256)
    colours = np.zeros((256, 3), int)
    for place in range(8):
        for channel in range(3):
            colours[:, channel] |= (labels >> (3 * place + channel) & 1) << (7 - place)
    return colours.ravel().tolist()


def _frames(shown: Clip) -> Iterator[tuple[int, ClipFrame]]:
    for t in range(shown.count):
        yield t, shown.frame(t)


def _info() -> dict[str, str]:
    return {"description": "Playground clips", "version": VERSION}


def _video(number: int, name: str, shown: Clip) -> dict[str, Any]:
    width, height = shown.size
    names = [f"{name}/{t:05d}.jpg" for t in range(shown.count)]
    about = {"video_name": name, "fps": shown.rate, "theme": shown.theme}
    return {"id": number, "width": width, "height": height, "length": shown.count, "file_names": names, **about}


def _track(shown: Clip, masks: Masklet) -> dict[str, Any]:
    """The fields of a track: masks, boxes (x, y, w, h in pixels) and areas per frame."""
    boxes, areas = [], []
    for rle in masks:
        mask = None if rle is None else decode_rle(rle)
        x0, y0, x1, y1 = (0, 0, 0, 0) if mask is None else mask_to_box(mask)
        boxes.append(None if mask is None else [x0, y0, x1 - x0, y1 - y0])
        areas.append(None if mask is None else int(mask.sum()))
    width, height = shown.size
    return {
        "width": width, "height": height, "iscrowd": 0, "length": shown.count,
        "segmentations": masks, "bboxes": boxes, "areas": areas,
    }  # fmt: skip


def _masklets(name: str, shown: Clip, masks: list[list[dict[str, Any]]]) -> dict[str, Any]:
    width, height = shown.size
    return {
        "video_id": name, "video_duration": shown.count / shown.rate, "video_frame_count": float(shown.count),
        "video_height": float(height), "video_width": float(width), "video_resolution": float(width * height),
        "masklet_id": [obj.id for obj in shown.objects], "masklet": masks, "masklet_type": "manual",
        "masklet_frame_count": [len(masks)] * len(shown.objects), "masklet_num": len(shown.objects),
    }  # fmt: skip


def _save_jpeg(frame: ClipFrame, path: Path) -> None:
    with replacing(path) as temporary:
        Image.fromarray(frame.image).save(temporary, "JPEG", quality=JPEG_QUALITY)


def _save_labels(labels: np.ndarray, path: Path) -> None:
    image = Image.fromarray(labels)
    image.putpalette(palette())
    with replacing(path) as temporary:
        image.save(temporary, "PNG", optimize=True)


def _listing(path: Path, names: list[str]) -> Path:
    write_text(path, "".join(f"{name}\n" for name in names))
    return path
