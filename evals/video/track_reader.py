"""YTVIS, LV-VIS, SA-Co/VEval and BURST as samples: frames in folders, and phrases from the annotation files."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from evals.dataset_files import field, image_size, integers, read_json
from evals.rle_masks import Size
from evals.samples import Clip, DatasetSplit, VideoSample
from evals.video.burst import DISTRACTORS, frame_names, sequence_key
from evals.video.prediction_writers import TrackTarget
from evals.video.tracks import Id, unique_ids, video_of
from sam3model.data.clip_layouts import (
    BURST_FRAMES,
    VEVAL_FRAMES,
    VIS_FRAMES,
    burst_annotations,
    lvvis_annotations,
    veval_annotations,
    ytvis_annotations,
)
from sam3model.data.coco_file import class_phrase, table
from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError

Phrases = Mapping[str, Sequence[Id]]
"""Phrase -> ids of its categories."""


def read_ytvis(dataset: DatasetSplit) -> list[VideoSample[TrackTarget]]:
    """YouTube-VIS: all categories are phrases for every video. Raises `DataError`."""
    return _all_categories(dataset, ytvis_annotations(dataset.root, dataset.split))


def read_lvvis(dataset: DatasetSplit) -> list[VideoSample[TrackTarget]]:
    """LV-VIS: all categories are phrases for every video. Raises `DataError`."""
    return _all_categories(dataset, lvvis_annotations(dataset.root, dataset.split))


def read_veval(dataset: DatasetSplit) -> list[VideoSample[TrackTarget]]:
    """SA-Co/VEval: every video with the noun phrases of its pairs. Raises `DataError`."""
    path = veval_annotations(dataset.root, dataset.split)
    data = read_json(path)
    names = _category_names(data, path)
    phrases: dict[Id, dict[str, list[Id]]] = {}
    for k, row in enumerate(table(data, "video_np_pairs", path)):
        where = f"{path}: video_np_pairs[{k}]"
        video, category = (field(row, name, (int, str), where) for name in ("video_id", "category_id"))
        phrase = row.get("noun_phrase", names.get(category))
        if not isinstance(phrase, str) or not phrase.strip():
            raise DataError(f"{where}: the field 'noun_phrase' is not a phrase")
        phrases.setdefault(video, {}).setdefault(phrase, []).append(category)
    return _vis_samples(dataset.root, path, data, phrases, VEVAL_FRAMES)


def read_burst(dataset: DatasetSplit) -> list[VideoSample[TrackTarget]]:
    """BURST: every sequence with the classes that are annotated in it, present or absent. Raises `DataError`.

    Detections of other classes are never counted. All frames are read, and annotated ones kept.
    """
    path = burst_annotations(dataset.root, dataset.split)
    data = read_json(path)
    names = _category_names(data, path)
    samples = []
    for row in table(data, "sequences", path):
        key = sequence_key(row, path)
        where = f"{path}: sequence {'/'.join(key)}"
        classes = field(row, "track_category_ids", dict, where)
        present = {field(classes, track, int, f"{where}: track_category_ids") for track in classes}
        checked = sorted(present.union(integers(row, "neg_category_ids", where)) - DISTRACTORS)
        if unknown := [one for one in checked if one not in names]:
            raise DataError(f"{where}: category {unknown[0]} is not in the field 'categories' of the file")
        annotated = frame_names(row, where)
        every = tuple(_strings(row, "all_image_paths", where)) if "all_image_paths" in row else annotated
        if missing := [name for name in annotated if name not in every]:
            raise DataError(f"{where}: frame {missing[0]} is not in the field 'all_image_paths'")
        numbers = {name: number for number, name in enumerate(every)}
        kept = tuple(numbers[name] for name in annotated)
        folders = [f"{base.format(split=dataset.split)}/{'/'.join(key)}" for base in BURST_FRAMES]
        load = partial(_clip, dataset.root, folders, every, kept, image_size(row, where))
        if checked and annotated:
            target = TrackTarget(key, _by_phrase((one, names[one]) for one in checked), annotated)
            samples.append(VideoSample("/".join(key), load, tuple(target.categories), target))
    return samples


def _all_categories(dataset: DatasetSplit, path: Path) -> list[VideoSample[TrackTarget]]:
    data = read_json(path)
    phrases = _by_phrase(_category_names(data, path).items())
    folders = [folder.format(split=dataset.split) for folder in VIS_FRAMES]
    return _vis_samples(dataset.root, path, data, dict.fromkeys(unique_ids(data, "videos", path), phrases), folders)


def _vis_samples(
    root: Path, path: Path, data: Any, phrases: Mapping[Id, Phrases], folders: Sequence[str]
) -> list[VideoSample[TrackTarget]]:
    """The videos that have phrases."""
    samples = []
    for video, row in zip(unique_ids(data, "videos", path), data["videos"], strict=True):
        checked = video_of(row, path)
        names = _strings(row, "file_names", f"{path}: video {video}")
        if video in phrases:
            target = TrackTarget(video, phrases[video])
            load = partial(_clip, root, folders, names, tuple(range(checked.length)), checked.size)
            samples.append(VideoSample(str(video), load, tuple(target.categories), target))
    return samples


def _clip(root: Path, folders: Sequence[str], names: Sequence[str], kept: tuple[int, ...], size: Size) -> Clip:
    """The files of a video, from the first folder that has its first frame."""
    if not names:
        raise DataError(f"{root}: a video has no frames")
    places = [folder for folder in folders if inside(root, folder, names[0]).is_file()]
    if not places:
        raise DataError(f"{inside(root, folders[0], names[0])} is missing")
    return Clip(tuple(inside(root, places[0], name) for name in names), kept, size)


def _category_names(data: Any, path: Path) -> dict[Id, str]:
    ids = unique_ids(data, "categories", path)
    return {
        one: field(row, "name", str, f"{path}: category {one}")
        for one, row in zip(ids, data["categories"], strict=True)
    }


def _by_phrase(names: Iterable[tuple[Id, str]]) -> dict[str, list[Id]]:
    """Categories whose names give the same phrase share it."""
    phrases: dict[str, list[Id]] = {}
    for category, name in names:
        phrases.setdefault(class_phrase(name), []).append(category)
    return phrases


def _strings(row: Any, name: str, where: str) -> list[str]:
    values = field(row, name, list, where)
    if not all(isinstance(value, str) for value in values):
        raise DataError(f"{where}: the field {name!r} contains something other than file names")
    return values
