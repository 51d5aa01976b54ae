"""DAVIS, MOSE and SA-V: J&F of every object in folders of PNGs.

    DAVIS  Annotations/480p/VIDEO/00000.png        predictions  VIDEO/00000.png          a label per object
    MOSE   SPLIT/Annotations/VIDEO/00000.png       predictions  VIDEO/00000.png          a label per object
    SA-V   sav_SPLIT/Annotations_6fps/VIDEO/OBJECT/00000.png    VIDEO/OBJECT/00000.png   objects may overlap

The first and the last annotated frame are not scored and need no prediction. Every other annotated frame needs one: a
missing file is an error, as in the official evaluators. Predictions for frames without annotation are ignored.
"""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from evals.benchmark_types import Figures
from evals.samples import DatasetSplit
from evals.video.worker_pool import parallel_map
from sam3model.data.clip_layouts import VosFolders, davis_folders, mose_folders, sav_folders
from sam3model.data.dataset_paths import folders, inside, png_names
from sam3model.data.label_maps import VOID, objects_of, read_labels, whole_mask
from sam3model.errors import DataError, MetricError
from sam3model.metrics.jf import JAndF
from sam3model.metrics.overlap import Rle

Track = list[Rle | None]
Objects = Iterator[tuple[str, Track, Track]]
"""Name, target and prediction of every object of a video."""
Reader = Callable[[Path, Path, str], Objects]


def score_davis(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """J&F of DAVIS 2017, semi-supervised, at 480p. Raises `DataError`."""
    return _score(davis_folders(dataset.root, dataset.split), predictions, videos, _label_maps)


def score_mose(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """J&F of MOSE. Raises `DataError`."""
    return _score(mose_folders(dataset.root, dataset.split), predictions, videos, _label_maps)


def score_sav(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """J&F of SA-V. Raises `DataError`."""
    return _score(sav_folders(dataset.root, dataset.split), predictions, videos, _object_folders)


def _score(places: VosFolders, predictions: Path, chosen: Collection[str] | None, read: Reader) -> Figures:
    annotations = places.annotations
    videos = [video for video in places.videos if chosen is None or video in chosen]
    metric = JAndF(skip_ends=False)  # the readers leave out the first and the last frame
    for part in parallel_map(partial(_measure, read, annotations, predictions), videos, "videos"):
        metric.merge(part)
    try:
        result = metric.compute()
    except MetricError as error:
        raise DataError(f"{annotations}: {error}") from error
    return {**result.summary(), "objects never seen": len(result.unscored)}


def _measure(read: Reader, annotations: Path, predictions: Path, video: str) -> JAndF:
    metric = JAndF(skip_ends=False)
    for name, target, prediction in read(annotations, predictions, video):
        metric.update(video, name, target, prediction)
    return metric


def _frames(folder: Path) -> list[str]:
    """Names of the scored frames."""
    names = png_names(folder)
    if len(names) < 3:
        raise DataError(
            f"{folder} has {len(names)} annotated frames, but the first and the last are not scored; "
            "some splits can only be scored on the challenge server"
        )
    return names[1:-1]


def _label_maps(annotations: Path, predictions: Path, video: str) -> Objects:
    frames = _frames(inside(annotations, video))
    targets: dict[int, Track] = {}
    predicted: dict[int, Track] = {}
    size = None
    for t, frame in enumerate(frames):
        for root, tracks in ((annotations, targets), (predictions, predicted)):
            labels = read_labels(root, video, frame, size=size)
            size = labels.shape
            masks = objects_of(labels)
            if tracks is predicted and not masks and labels.any():
                raise DataError(
                    f"{root / video / frame} only has label {VOID} (void): give each object its own label, from 1"
                )
            for label, mask in masks.items():
                tracks.setdefault(label, [None] * len(frames))[t] = mask
    for label, target in targets.items():
        yield str(label), target, predicted.get(label) or [None] * len(frames)


def _object_folders(annotations: Path, predictions: Path, video: str) -> Objects:
    for name in folders(inside(annotations, video)):
        frames = _frames(inside(annotations, video, name))
        size = None
        target: Track = []
        prediction: Track = []
        for frame in frames:
            for root, track in ((annotations, target), (predictions, prediction)):
                labels = read_labels(root, video, name, frame, size=size)
                if ((labels != 0) & (labels != labels.max())).any():
                    raise DataError(f"{root / video / name / frame} has several objects; each file must have one mask")
                size = labels.shape
                track.append(whole_mask(labels))
        yield name, target, prediction
