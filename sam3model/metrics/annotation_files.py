"""Read COCO-like annotation and prediction files; errors name file and field."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json

from sam3model.errors import DataError, InputError, MetricError
from sam3model.files import read_regular
from sam3model.ops.rle_reading import read_rle_size, read_runs

MAX_BYTES = 4 << 30
TABLES = ("images", "annotations", "categories")
JsonSource = str | Path | Mapping[str, Any] | list[Any]


def read_json(source: JsonSource) -> Any:
    """Read JSON from a path; loaded JSON is returned as is. Raises `MetricError` if the file is missing or invalid."""
    if not isinstance(source, str | Path):
        return source
    try:
        return from_json(read_regular(Path(source), MAX_BYTES), cache_strings="keys")  # twice as fast as json
    except InputError as error:
        raise MetricError(str(error)) from error
    except ValueError as error:
        raise MetricError(f"{source} is not valid JSON: {error}") from error


def load_ground_truth(source: JsonSource, *tables: str) -> Mapping[str, Any]:
    """Read a COCO-like file with these lists, `TABLES` by default.

    Raises:
        MetricError: it is no such file, or a row is no object, has no usable id, or a damaged mask.
    """
    data = read_json(source)
    name = source if isinstance(source, str | Path) else "ground truth"
    if not isinstance(data, Mapping):
        raise MetricError(f"{name}: expected a JSON object with annotations, got {type(data).__name__}")
    for table in tables or TABLES:
        if not isinstance(data.get(table), list):
            raise MetricError(f"{name}: the list {table!r} is missing")
    for table in tables or TABLES:
        for number, row in enumerate(data[table]):
            known = isinstance(row, Mapping) and table == "annotations" and "id" in row
            _check_row(row, table, f"{name}: annotation {row['id']}" if known else f"{name}: {table}[{number}]")
    return data


def load_predictions(source: JsonSource) -> list[dict[str, Any]]:
    """Read a COCO results file, a list of objects. Raises `MetricError`."""
    data = read_json(source)
    name = source if isinstance(source, str | Path) else "predictions"
    if not isinstance(data, list) or not all(isinstance(p, dict) for p in data):
        raise MetricError(f"{name}: expected a JSON list of predictions")
    for number, prediction in enumerate(data):
        _check_numbers(prediction, f"{name}: prediction {number}")
        _check_masks(prediction, f"{name}: prediction {number}")
    return data


def refuse_ids_of_another_type(found: Iterable[Any], known: Iterable[Any], what: str) -> None:
    """Raise `MetricError` if no id of the predictions is known, but one would be with the other type, as 1 for "1".

    Predictions of unknown ids are ignored: the figures would be 0 for a slip that can be named. what: the field.
    """
    given, there = set(found), set(known)
    if given and not given & there and (alike := {str(one) for one in given} & {str(one) for one in there}):
        theirs, ours = (next(one for one in ids if str(one) == min(alike)) for ids in (given, there))
        raise MetricError(f"the predictions have {what} {theirs!r}, and the ground truth {ours!r}: use one type")


def _check_row(row: Any, table: str, where: str) -> None:
    """Raise `MetricError` if a row of a table cannot be used by any metric."""
    if not isinstance(row, Mapping):
        raise MetricError(f"{where} is no object")
    if table != "annotations" and row.get("id") is None:
        raise MetricError(f"{where} has no 'id'")
    _check_ids(row, where)
    if table == "annotations":
        if isinstance(row.get("iscrowd"), str):  # any text but "" would count as a crowd
            raise MetricError(f"{where}: iscrowd is the text {row['iscrowd']!r}: write 0 or 1")
        _check_masks(row, where)


def _check_ids(row: Mapping[str, Any], where: str) -> None:
    """Raise `MetricError` if an id is no id; all may be missing."""
    for name in ("id", "image_id", "category_id", "video_id"):
        if isinstance(row.get(name), list | dict | set):
            raise MetricError(f"{where}: {name} is a {type(row[name]).__name__}")


def _check_masks(entry: Mapping[str, Any], where: str) -> None:
    """Raise `MetricError` if an RLE is damaged, which would crash pycocotools; other masks are left to the metric."""
    several = entry.get("segmentations")
    for mask in (entry.get("segmentation"), *(several if isinstance(several, list | tuple) else ())):
        if isinstance(mask, Mapping):
            try:
                read_runs(mask.get("counts"), read_rle_size(mask))
            except DataError as error:
                raise MetricError(f"{where}: {error}") from error


def _check_numbers(prediction: Mapping[str, Any], where: str) -> None:
    """Raise `MetricError` if a score or a box is not made of finite numbers, or an id is no id; all may be missing."""
    _check_ids(prediction, where)
    for score in [prediction["score"]] if "score" in prediction else _listed(prediction.get("scores")):
        if not is_finite(score):
            raise MetricError(f"{where}: the score is {score!r}, not a finite number")
    for box in (prediction.get("bbox"), *_listed(prediction.get("bboxes"))):
        if box is None or (hasattr(box, "__len__") and not len(box)):
            continue
        if not hasattr(box, "__len__") or len(box) != 4 or not all(map(is_finite, box)):
            raise MetricError(f"{where}: the box is {box!r}, not four finite numbers x, y, width, height")


def _listed(values: Any) -> Iterable[Any]:
    """The items of a list or an array; a single value alone, nothing for None."""
    if values is None:
        return ()
    return values if hasattr(values, "__iter__") and not isinstance(values, str) else (values,)


def is_finite(value: Any) -> bool:
    """Whether a value is a finite number, also of numpy or torch; booleans and text are none.

    >>> [is_finite(value) for value in (1, 0.5, True, "1", float("nan"), 10**400)]
    [True, True, False, False, False, False]
    """
    if isinstance(value, bool | np.bool_ | str | bytes):
        return False
    try:
        return math.isfinite(float(value))
    except (OverflowError, TypeError, ValueError):  # OverflowError: an integer too large for a float
        return False


def require(entry: Mapping[str, Any], field: str, what: str) -> Any:
    """Return a field of an entry. Raises `MetricError` if it is missing."""
    try:
        return entry[field]
    except KeyError:
        raise MetricError(f"{what} {entry.get('id', '')} has no {field!r}".replace("  ", " ")) from None
