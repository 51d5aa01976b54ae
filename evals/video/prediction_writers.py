"""Predictions of videos as files in the layouts of the official evaluators and challenge servers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.samples import PredictedTrack, VideoPrediction, VideoSample
from sam3model.data.dataset_paths import inside
from sam3model.data.label_maps import VOID
from sam3model.errors import DataError, OutputError
from sam3model.files import write_text
from sam3model.metrics.results_writer import masklet_entry


@dataclass(frozen=True, slots=True)
class TrackTarget:
    """Names of a video in the annotations.

    video: its id. categories: phrase -> ids of the categories it stands for. names: of the kept frames (BURST).
    """

    video: Any
    categories: Mapping[str, Sequence[Any]]
    names: tuple[str, ...] = ()


class LabelMapWriter:
    """VIDEO/FRAME.png: indexed PNGs with a label per object. Where masks overlap, the lower label is on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, sample: VideoSample[Any], prediction: VideoPrediction) -> None:
        """Write a video; the names of its tracks are the labels. Raises `DataError` for a label that does not fit."""
        numbered = sorted(((_label(track), track) for track in prediction.tracks), key=lambda pair: -pair[0])
        for place, name in enumerate(prediction.frames):
            labels = np.zeros(prediction.size, np.uint8)
            for label, track in numbered:
                _paint(labels, track, place, label)
            _write_png(inside(self.folder, sample.key, f"{name}.png"), labels)

    def close(self) -> Path:
        """The folder."""
        return self.folder


class ObjectFolderWriter:
    """VIDEO/OBJECT/FRAME.png: one object per file, 255 inside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, sample: VideoSample[Any], prediction: VideoPrediction) -> None:
        """Write a video; the names of its tracks are the folders."""
        for track in prediction.tracks:
            for place, name in enumerate(prediction.frames):
                labels = np.zeros(prediction.size, np.uint8)
                _paint(labels, track, place, VOID)
                _write_png(inside(self.folder, sample.key, track.prompt, f"{name}.png"), labels)

    def close(self) -> Path:
        """The folder."""
        return self.folder


class JsonParts:
    """A JSON list that is written item by item: neither it nor its items stay in memory.

    Raises `OutputError` if the file cannot be written.
    """

    def __init__(self, path: Path, start: str = "[", end: str = "]") -> None:
        self.path = path
        self._end = end
        self._separator = ""
        write_text(path, start)

    def add(self, item: Any) -> None:
        """Append an item."""
        self._append(self._separator + json.dumps(item, separators=(",", ":")))
        self._separator = ",\n"

    def close(self) -> Path:
        """Finish the list."""
        self._append(self._end + "\n")
        return self.path

    def _append(self, text: str) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error


class TrackWriter:
    """results.json in YouTube-VIS format, with the boxes that the evaluator of SA-Co/VEval needs.

    The target of a sample is a `TrackTarget`.
    """

    def __init__(self, path: Path) -> None:
        self._parts = JsonParts(path)

    def add(self, sample: VideoSample[TrackTarget], prediction: VideoPrediction) -> None:
        """Write the tracks of a video, once for each category with their phrase."""
        for track in prediction.tracks:
            for category in sample.target.categories[track.prompt]:
                self._parts.add(masklet_entry(sample.target.video, category, track.score, track.masks))

    def close(self) -> Path:
        """The file."""
        return self._parts.close()


class BurstWriter:
    """predictions.json in the format of BURST. The target of a sample is a `TrackTarget` with (data set, name)."""

    def __init__(self, path: Path) -> None:
        self._parts = JsonParts(path, '{"sequences": [', "]}")

    def add(self, sample: VideoSample[TrackTarget], prediction: VideoPrediction) -> None:
        """Write a sequence; a track gets an id for each category with its phrase."""
        categories: dict[str, int] = {}
        segmentations: list[dict[str, Any]] = [{} for _ in prediction.frames]
        for track in prediction.tracks:
            for category in sample.target.categories[track.prompt]:
                name = str(len(categories) + 1)
                categories[name] = category
                for place, mask in enumerate(track.masks):
                    if mask is not None:
                        segmentations[place][name] = {"rle": mask["counts"], "score": track.score}
        dataset, sequence = sample.target.video
        self._parts.add(
            {
                "dataset": dataset,
                "seq_name": sequence,
                "height": prediction.size[0],
                "width": prediction.size[1],
                "annotated_image_paths": list(sample.target.names),
                "track_category_ids": categories,
                "segmentations": segmentations,
            }
        )

    def close(self) -> Path:
        """The file."""
        return self._parts.close()


def _label(track: PredictedTrack) -> int:
    label = int(track.prompt) if track.prompt.isdecimal() else 0
    if not 0 < label < VOID:
        raise DataError(f"object {track.prompt!r} is not a label from 1 to {VOID - 1}")
    return label


def _paint(labels: np.ndarray, track: PredictedTrack, place: int, label: int) -> None:
    from sam3model.ops.masks import decode_rle

    mask = track.masks[place]
    if mask is not None:
        labels[decode_rle(dict(mask))] = label


def _write_png(path: Path, labels: np.ndarray) -> None:
    from PIL import Image

    from sam3model.playground.clip_writers import palette

    image = Image.fromarray(labels)
    image.putpalette(palette())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
