"""MeViS and ReVOS: J&F of expressions, over all frames of a video.

    MeViS  SPLIT/meta_expressions.json, SPLIT/mask_dict.json
    ReVOS  meta_expressions_valid_.json, mask_dict.json and, for robustness, mask_dict_foreground.json
    predictions, both   VIDEO/EXPRESSION/00000.png, a mask for each of the `frames` of the video

The target of an expression is the union of the masks of its `anno_id`; if there are none, it is empty. An expression
without a folder of predictions counts 0 in every figure; `missing` is the number of these. A folder with missing frames
is an error. Runs of our agent on ReVOS list the expressions without an answer in `UNANSWERED_FILE`: these count 0, too,
because an empty mask alone has a robustness of 100.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from evals.benchmark_types import Figures
from evals.dataset_files import field, read_json
from evals.rle_masks import read_rle
from evals.samples import DatasetSplit
from evals.video.worker_pool import progress
from sam3model.data.dataset_paths import inside
from sam3model.data.label_maps import read_labels, whole_mask
from sam3model.errors import DataError, MetricError
from sam3model.metrics.jf import Track
from sam3model.metrics.referring_video import ReferringVideo, union_track

REVOS_TYPES = {0: "referring", 1: "reasoning"}
"""Scored values of `type_id`; 2 marks expressions without a target in the video."""
UNANSWERED_FILE = "unanswered.json"
"""In a folder of predictions: the expressions, as VIDEO/EXPRESSION, that a run could not answer."""


class Expression(NamedTuple):
    """An expression about a video. frames: names without extension; annotations: keys of mask_dict."""

    video: str
    name: str
    frames: tuple[str, ...]
    annotations: tuple[str, ...]
    group: str
    text: str = ""

    @property
    def key(self) -> str:
        """Its folder in a set of predictions, which is unique."""
        return f"{self.video}/{self.name}"


def mevis_expressions(dataset: DatasetSplit) -> list[Expression]:
    """All expressions of a split. Raises `DataError`."""
    return list(_expressions(inside(dataset.root, dataset.split, "meta_expressions.json")))


def revos_expressions(dataset: DatasetSplit) -> list[Expression]:
    """All expressions of a split, also those without a target, whose group is "". Raises `DataError`."""
    return list(_expressions(inside(dataset.root, f"meta_expressions_{dataset.split}_.json"), REVOS_TYPES))


def score_mevis(dataset: DatasetSplit, predictions: Path, keys: Collection[str] | None = None) -> Figures:
    """J&F of MeViS, over all expressions or those with some keys. Raises `DataError`."""
    meta, masks = (inside(dataset.root, dataset.split, name) for name in ("meta_expressions.json", "mask_dict.json"))
    if meta.exists() and not masks.exists():
        raise DataError(f"{masks} is missing; the ground truth of this split is only on the challenge server")
    figures = _score(_chosen(mevis_expressions(dataset), keys), _Masks(masks), None, predictions)
    return {name: value for name, value in figures.items() if name not in ("A", "R")}


def score_revos(dataset: DatasetSplit, predictions: Path, keys: Collection[str] | None = None) -> Figures:
    """J&F of ReVOS: overall, referring and reasoning; R (robustness) if the foreground file exists.

    keys: of the expressions to score, None for all. Raises `DataError`.
    """
    masks, seen = (inside(dataset.root, name) for name in ("mask_dict.json", "mask_dict_foreground.json"))
    foreground = _Masks(seen, "masks_rle") if seen.exists() else None
    expressions = [e for e in _chosen(revos_expressions(dataset), keys) if e.group]
    return _score(expressions, _Masks(masks), foreground, predictions)


def _chosen(expressions: list[Expression], keys: Collection[str] | None) -> list[Expression]:
    return [one for one in expressions if keys is None or one.key in keys]


def _score(
    expressions: Sequence[Expression], masks: "_Masks", foreground: "_Masks | None", predictions: Path
) -> dict[str, float]:
    if not predictions.is_dir():
        raise DataError(f"{predictions} is not a folder")
    metric, missing, unanswered = ReferringVideo(), 0, _unanswered(predictions / UNANSWERED_FILE)
    for expression in progress(expressions, "expressions"):
        key = expression.key
        target = _target(expression, masks)
        prediction = _prediction(expression, predictions)
        seen = foreground.track(expression.video, len(target)) if foreground else None
        missing += prediction is None
        try:
            metric.update(key, target, None if key in unanswered else prediction, seen, expression.group)
        except MetricError as error:
            raise DataError(f"{predictions / key}: {error}") from error
    if not metric.samples:
        raise DataError(f"{masks.path}: no expressions to score")
    return {**metric.compute().summary(), "expressions": len(expressions), "missing": missing}


def _unanswered(path: Path) -> frozenset[str]:
    """The expressions that a run lists as not answered. Raises `DataError`."""
    if not path.exists():
        return frozenset()
    keys = read_json(path)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise DataError(f"{path} is not a list of expressions")
    return frozenset(keys)


def _expressions(path: Path, groups: Mapping[int, str] | None = None) -> Iterator[Expression]:
    videos = field(read_json(path), "videos", dict, str(path))
    for video, row in videos.items():
        where = f"{path}: video {video}"
        frames = tuple(field(row, "frames", list, where))
        if not frames or not all(isinstance(frame, str) for frame in frames):
            raise DataError(f"{where}: the field 'frames' is not a list of names")
        for name, expression in field(row, "expressions", dict, where).items():
            place = f"{where}, expression {name}"
            annotations = tuple(str(key) for key in field(expression, "anno_id", list, place))
            group = groups.get(field(expression, "type_id", int, place), "") if groups else "all"
            text = expression.get("exp", "")
            yield Expression(video, name, frames, annotations, group, text if isinstance(text, str) else "")


class _Masks:
    """A file of tracks by key, each a list of RLEs or null, validated on access.

    inner: the field of an entry with the list, if the entry itself is not the list.
    """

    def __init__(self, path: Path, inner: str | None = None) -> None:
        self.path = path
        self.inner = inner
        self.entries = read_json(path)

    def track(self, key: str, frames: int) -> Track:
        """The masks of a key, one per frame. Raises `DataError` if the key or a frame is missing."""
        where = f"{self.path}: {key}"
        values = field(self.entries, key, list if self.inner is None else dict, str(self.path))
        if self.inner is not None:
            values = field(values, self.inner, list, where)
        if len(values) != frames:
            raise DataError(f"{where}: {len(values)} masks for {frames} frames")
        return [read_rle(value, f"{where}, frame {t}") if value else None for t, value in enumerate(values)]


def _target(expression: Expression, masks: _Masks) -> Track:
    frames = len(expression.frames)
    tracks = [masks.track(key, frames) for key in expression.annotations]
    try:
        return union_track(tracks) if tracks else [None] * frames
    except MetricError as error:
        raise DataError(f"{masks.path}: {expression.annotations}: {error}") from error


def _prediction(expression: Expression, predictions: Path) -> Track | None:
    """The predicted masks, or None if their folder is missing."""
    folder = f"{expression.video}/{expression.name}"
    if not inside(predictions, folder).is_dir():
        return None
    size = None
    track = []
    for frame in expression.frames:
        labels = read_labels(predictions, folder, f"{frame}.png", size=size)
        size = labels.shape
        track.append(whole_mask(labels))
    return track
