"""YTVIS, LV-VIS and SA-Co/VEval: tracks in one JSON file, predictions in another.

The ground truth is YouTube-VIS 2019 JSON: `videos` (id, height, width, length), `categories` and `annotations` with a
mask or null per frame in `segmentations`; SA-Co/VEval adds `video_np_pairs`, all phrases to find in each video.
Predictions are a list of `{video_id, category_id, score, segmentations}`, as in the `results.json` of the challenge
server. A video that the list does not mention has no predictions.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evals.benchmark_types import Figures, percent
from evals.dataset_files import field, image_size, numbers, read_json, results_file
from evals.rle_masks import Size, read_rle
from evals.samples import DatasetSplit
from evals.video.worker_pool import progress
from sam3model.data.clip_layouts import lvvis_annotations, veval_annotations, ytvis_annotations
from sam3model.data.coco_file import table
from sam3model.errors import DataError, MetricError
from sam3model.metrics.overlap import coco_mask, rle_areas
from sam3model.metrics.veval import evaluate_saco_veval
from sam3model.metrics.ytvis import evaluate_ytvis

Entry = Mapping[str, Any]
Id = int | str
VEVAL_FIGURES = {
    "cgF1": "video_mask_demo_cgf1_micro_50_95",
    "pHOTA": "video_mask_all_phrase_HOTA",
    "pmF1": "video_mask_demo_positive_micro_f1_50_95",
    "IL_MCC": "video_mask_demo_ilmcc_50_95",
    "DetA": "video_mask_all_phrase_DetA",
    "AssA": "video_mask_all_phrase_AssA",
    "phrase AP": "video_mask_phrase_ap_50_95",
    "TETA": "video_mask_teta",
    "box cgF1": "video_bbox_demo_cgf1_micro_50_95",
    "box pHOTA": "video_bbox_all_phrase_HOTA",
}
"""Our names for the official figures."""
NOT_SCALED = ("IL_MCC", "TETA")
"""A correlation, and a figure that is a percentage already."""


class Video(NamedTuple):
    """Number of frames, and their height and width."""

    length: int
    size: Size


def score_ytvis(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """AP of tracks on YouTube-VIS. Raises `DataError`."""
    return _average_precision(ytvis_annotations(dataset.root, dataset.split), predictions, videos)


def score_lvvis(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """AP of tracks on LV-VIS. Raises `DataError`."""
    return _average_precision(lvvis_annotations(dataset.root, dataset.split), predictions, videos)


def _average_precision(annotations: Path, predictions: Path, videos: Collection[str] | None) -> Figures:
    results = results_file(predictions, "results.json")
    try:
        result = evaluate_ytvis(*_only(videos, *read_tracks(annotations, read_json(annotations), results)))
    except MetricError as error:
        raise DataError(f"{results}: {error}") from error
    return {name: percent(value) for name, value in result.summary().items()}


def score_veval(dataset: DatasetSplit, predictions: Path, videos: Collection[str] | None = None) -> Figures:
    """cgF1, pHOTA and the other figures of SA-Co/VEval. Raises `DataError`."""
    name = f"saco_veval_{dataset.split}"
    annotations = veval_annotations(dataset.root, dataset.split)
    results = results_file(predictions, f"{name}_preds.json", f"{name}_pred.json")
    data = read_json(annotations)
    checked, entries = read_tracks(annotations, data, results)
    checked["video_np_pairs"] = _pairs(data, annotations, checked)
    try:
        figures = evaluate_saco_veval(*_only(videos, checked, entries)).dataset_results
    except MetricError as error:
        raise DataError(f"{results}: {error}") from error
    named = {ours: figures.get(name, 0.0) for ours, name in VEVAL_FIGURES.items()}
    return {name: value if name in NOT_SCALED else percent(value) for name, value in named.items()}


def _only(
    videos: Collection[str] | None, checked: dict[str, Any], entries: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth and predictions of some videos; None: of all."""
    if videos is None:
        return checked, entries
    kept = {
        "videos": [row for row in checked["videos"] if str(row["id"]) in videos],
        "categories": checked["categories"],
    }
    for name in ("annotations", "video_np_pairs"):
        if name in checked:
            kept[name] = [row for row in checked[name] if str(row["video_id"]) in videos]
    return kept, [row for row in entries if str(row["video_id"]) in videos]


def read_tracks(annotations: Path, data: Any, results: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Validate ground truth and predictions, and add missing boxes and areas.

    data: content of the file `annotations`. Raises `DataError` that names file, entry and field.
    """
    videos = dict(
        zip(
            unique_ids(data, "videos", annotations), [video_of(row, annotations) for row in data["videos"]], strict=True
        )
    )
    categories = unique_ids(data, "categories", annotations)
    if not isinstance(data.get("annotations"), list):
        raise DataError(
            f"{annotations}: the field 'annotations' is missing; this ground truth is only on the challenge server"
        )
    predicted = read_json(results)
    if not isinstance(predicted, list):
        raise DataError(f"{results}: expected a JSON list of predictions")
    known = frozenset(categories)
    checked = {
        "videos": [{"id": key, "length": video.length} for key, video in videos.items()],
        "categories": [{"id": key} for key in categories],
        "annotations": _entries(table(data, "annotations", annotations), annotations, videos, known),
    }
    return checked, _entries(predicted, results, videos, known, scored=True)


def unique_ids(data: Any, name: str, path: Path) -> list[Id]:
    """Ids of a table. Raises `DataError` unless they are unique and of one type."""
    ids = [field(row, "id", (int, str), f"{path}: {name}") for row in table(data, name, path)]
    if len(set(ids)) < len(ids) or len(set(map(type, ids))) > 1:
        raise DataError(f"{path}: the field 'id' of {name} is not unique, or mixes numbers and strings")
    return ids


def video_of(row: Entry, path: Path) -> Video:
    """Length and size of a row of `videos`. Raises `DataError`."""
    where = f"{path}: video {row.get('id')}"
    length, names = field(row, "length", int, where), field(row, "file_names", list, where)
    if length != len(names):
        raise DataError(f"{where}: the field 'length' is {length}, but there are {len(names)} file names")
    return Video(length, image_size(row, where))


def _entries(
    rows: list[Any], path: Path, videos: Mapping[Id, Video], categories: frozenset[Id], scored: bool = False
) -> list[dict[str, Any]]:
    bar = progress(rows, path.name)
    return [_entry(row, f"{path}: entry {k}", videos, categories, scored) for k, row in enumerate(bar)]


def _entry(row: Any, where: str, videos: Mapping[Id, Video], categories: frozenset[Id], scored: bool) -> dict[str, Any]:
    pair = _pair(row, where, videos, categories)
    length, size = videos[pair["video_id"]]
    values = _per_frame(row, "segmentations", length, where)
    masks = [read_rle(v, f"{where}, segmentations[{t}]", size) if v else None for t, v in enumerate(values)]
    entry = {**pair, "segmentations": masks}
    if "bboxes" in row:
        boxes = _per_frame(row, "bboxes", length, where)
        entry["bboxes"] = [numbers(box, 4, f"{where}, bboxes") if box else None for box in boxes]
    else:
        entry["bboxes"] = [None if m is None else coco_mask.toBbox(m).tolist() for m in masks]
    if scored:
        entry["score"] = numbers([row.get("score")], 1, f"{where}: the field 'score'")[0]
        return entry
    present = [t for t, mask in enumerate(masks) if mask is not None]
    areas = dict(zip(present, rle_areas([masks[t] for t in present]).tolist(), strict=True))  # type: ignore[misc]
    return {**entry, "areas": [areas.get(t) for t in range(length)], "iscrowd": row.get("iscrowd", 0)}


def _per_frame(row: Entry, name: str, length: int, where: str) -> list[Any]:
    values = field(row, name, list, where)
    if len(values) != length:
        raise DataError(f"{where}: the field {name!r} has {len(values)} items for {length} frames")
    return values


def _pairs(data: Any, path: Path, checked: Mapping[str, Any]) -> list[dict[str, Id]]:
    videos, categories = ({row["id"] for row in checked[name]} for name in ("videos", "categories"))
    rows = table(data, "video_np_pairs", path)
    return [_pair(row, f"{path}: video_np_pairs[{k}]", videos, categories) for k, row in enumerate(rows)]


def _pair(row: Any, where: str, videos: Collection[Id], categories: Collection[Id]) -> dict[str, Any]:
    """The video and category of an entry."""
    pair = {name: field(row, name, (int, str), where) for name in ("video_id", "category_id")}
    video, category = pair.values()
    if video not in videos or category not in categories:
        raise DataError(f"{where}: video_id {video} or category_id {category} is not in the ground truth")
    return pair
