"""DAVIS, MOSE and SA-V: J&F of every object in folders of PNGs.

    DAVIS  Annotations/480p/VIDEO/00000.png        predictions  VIDEO/00000.png          a label per object
    MOSE   SPLIT/Annotations/VIDEO/00000.png       predictions  VIDEO/00000.png          a label per object
    SA-V   sav_SPLIT/Annotations_6fps/VIDEO/OBJECT/00000.png    VIDEO/OBJECT/00000.png   objects may overlap

The first and the last annotated frame do not count, so they need no prediction. Every other annotated frame needs one:
a missing file is an error, as in the official evaluators. Predictions of frames without annotation are not looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from evals.files import inside, read_text
from evals.masks import Size
from evals.registry import Figures, Source
from evals.video.masks import VOID, folders, objects_of, pictures, read_labels, size_of, whole_mask
from evals.video.spread import spread
from sam3model.errors import DataError, MetricError
from sam3model.metrics.jf import JAndF
from sam3model.metrics.overlap import Rle

Track = list[Rle | None]
Objects = Iterator[tuple[str, Track, Track]]
"""Name, target and prediction of every object of a video."""
Reader = Callable[[Path, Path, str], Objects]


def score_davis(source: Source, predictions: Path) -> Figures:
    """J&F of DAVIS 2017, semi-supervised, at 480p. Raises `DataError`."""
    truth = inside(source.root, "Annotations", "480p")
    videos = _listed(inside(source.root, "ImageSets", "2017", f"{source.split}.txt"))
    return _score(truth, predictions, videos, _label_maps)


def score_mose(source: Source, predictions: Path) -> Figures:
    """J&F of MOSE. Raises `DataError`."""
    truth = inside(source.root, source.split, "Annotations")
    return _score(truth, predictions, folders(truth), _label_maps)


def score_sav(source: Source, predictions: Path) -> Figures:
    """J&F of SA-V. Raises `DataError`."""
    name = f"sav_{source.split}"
    truth = inside(source.root, name, "Annotations_6fps")
    listed = inside(source.root, name, f"{name}.txt")
    return _score(truth, predictions, _listed(listed) if listed.exists() else folders(truth), _object_folders)


def _listed(path: Path) -> list[str]:
    return [line for raw in read_text(path).splitlines() if (line := raw.strip())]


def _score(truth: Path, predictions: Path, videos: Sequence[str], read: Reader) -> Figures:
    metric = _empty()
    for part in spread(partial(_measure, read, truth, predictions), videos, "videos"):
        metric.merge(part)
    try:
        result = metric.compute()
    except MetricError as error:
        raise DataError(f"{truth}: {error}") from error
    return {**result.summary(), "objects never seen": len(result.unscored)}


def _measure(read: Reader, truth: Path, predictions: Path, video: str) -> JAndF:
    metric = _empty()
    for name, target, prediction in read(truth, predictions, video):
        metric.update(video, name, target, prediction)
    return metric


def _empty() -> JAndF:
    return JAndF(skip_ends=False)  # the readers leave the ends out


def _frames(folder: Path) -> list[str]:
    """The annotated frames that count."""
    names = pictures(folder)
    if len(names) < 3:
        raise DataError(
            f"{folder} has {len(names)} annotated frames, and the first and the last do not count: "
            "some splits are scored by the server of the challenge alone"
        )
    return names[1:-1]


def _label_maps(truth: Path, predictions: Path, video: str) -> Objects:
    frames = _frames(inside(truth, video))
    targets: dict[int, Track] = {}
    found: dict[int, Track] = {}
    size: Size | None = None
    for t, frame in enumerate(frames):
        for root, tracks in ((truth, targets), (predictions, found)):
            labels = read_labels(root, video, frame, size=size)
            size = size_of(labels)
            masks = objects_of(labels)
            if tracks is found and not masks and labels.any():
                raise DataError(f"{root / video / frame} holds {VOID} alone: give each object its own label, from 1")
            for label, mask in masks.items():
                tracks.setdefault(label, [None] * len(frames))[t] = mask
    for label, target in targets.items():
        yield str(label), target, found.get(label) or [None] * len(frames)


def _object_folders(truth: Path, predictions: Path, video: str) -> Objects:
    for name in folders(inside(truth, video)):
        frames = _frames(inside(truth, video, name))
        size: Size | None = None
        target: Track = []
        prediction: Track = []
        for frame in frames:
            for root, track in ((truth, target), (predictions, prediction)):
                labels = read_labels(root, video, name, frame, size=size)
                if ((labels != 0) & (labels != labels.max())).any():
                    raise DataError(f"{root / video / name / frame} holds several objects: one mask a file is needed")
                size = size_of(labels)
                track.append(whole_mask(labels))
        yield name, target, prediction
