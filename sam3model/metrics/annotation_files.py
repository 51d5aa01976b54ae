"""Read COCO-like annotation and prediction files; errors name file and field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from sam3model.errors import InputError, MetricError
from sam3model.files import read_regular

MAX_BYTES = 4 << 30
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
    """Read a COCO-like file with these lists (default: images, annotations, categories). Raises `MetricError`."""
    data = read_json(source)
    name = source if isinstance(source, str | Path) else "ground truth"
    if not isinstance(data, Mapping):
        raise MetricError(f"{name}: expected a JSON object with annotations, got {type(data).__name__}")
    for table in tables or ("images", "annotations", "categories"):
        if not isinstance(data.get(table), list):
            raise MetricError(f"{name}: the list {table!r} is missing")
    return data


def load_predictions(source: JsonSource) -> list[dict[str, Any]]:
    """Read a COCO results file, a list of objects. Raises `MetricError`."""
    data = read_json(source)
    name = source if isinstance(source, str | Path) else "predictions"
    if not isinstance(data, list) or not all(isinstance(p, dict) for p in data):
        raise MetricError(f"{name}: expected a JSON list of predictions")
    return data


def require(entry: Mapping[str, Any], field: str, what: str) -> Any:
    """Return a field of an entry. Raises `MetricError` if it is missing."""
    try:
        return entry[field]
    except KeyError:
        raise MetricError(f"{what} {entry.get('id', '')} has no {field!r}".replace("  ", " ")) from None
