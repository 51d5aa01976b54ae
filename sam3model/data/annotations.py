"""What COCO and SA-Co files have in common: rows of pictures and annotations, checked one by one."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from sam3model.data.faults import Faults
from sam3model.data.layout import Place, picture_path
from sam3model.data.records import Box, Thing
from sam3model.data.segments import Segmentation, read_segmentation
from sam3model.errors import DataError

Row = Mapping[str, Any]
T = TypeVar("T")

_MAX_SIDE = 1 << 16


def read_json(path: Path) -> Row:
    """A JSON file that holds an object.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no annotation file: it holds a {type(content).__name__}, not an object")
    return content


def rows(content: Row, name: str, path: Path) -> list[Row]:
    """The table `name` of a file.

    Raises:
        DataError: there is none, or it holds something that is no object.
    """
    table = content.get(name)
    if not isinstance(table, list) or not all(isinstance(row, dict) for row in table):
        raise DataError(f"{path} is no COCO file: the field {name!r} is missing or no list of objects")
    return table


def required(row: Row, name: str, kind: type[T], where: str) -> T:
    """A field that the file cannot do without. Raises `DataError` if it is missing or of another type."""
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}: the field {name!r} is missing or no {kind.__name__}")
    return value


class AnnotationReader:
    """Checks the pictures and annotations of one file; what is broken is noted and left out."""

    def __init__(self, place: Place, faults: Faults, *, masks: bool, normalised: bool) -> None:
        self.place, self.faults = place, faults
        self.masks, self.normalised = masks, normalised

    def picture(self, row: Row, name: Any) -> tuple[str, Path, tuple[int, int]] | None:
        """Name, path and size (width, height) of a picture; None if its entry or its file cannot be used."""
        where = f"image {row.get('id')}"
        if not isinstance(name, str):
            return self.faults.note("picture without a file name", where)
        width, height = row.get("width"), row.get("height")
        if not (_is_side(width) and _is_side(height)):
            return self.faults.note("picture without a width and a height", name)
        path = picture_path(name, self.place.folders)
        if path is None:
            return self.faults.note("picture that is missing", name)
        return name, path, (width, height)

    def thing(self, row: Row, size: tuple[int, int], where: str) -> Thing | None:
        """An annotation of a picture of `size`; None if it cannot be used."""
        try:
            segmentation = read_segmentation(row.get("segmentation"), size) if self.masks else None
            return Thing(self._box(row, size, segmentation), segmentation)
        except DataError as error:
            return self.faults.note(str(error), where)

    def _box(self, row: Row, size: tuple[int, int], segmentation: Segmentation | None) -> Box:
        numbers = row.get("bbox")
        if not isinstance(numbers, list) or len(numbers) != 4 or not all(_finite(number) for number in numbers):
            raise DataError("annotation without a box of four numbers")
        scale = size if self.normalised else (1, 1)
        x, y, width, height = (number * side for number, side in zip(numbers, scale * 2, strict=True))
        if width <= 0 or height <= 0:
            raise DataError("empty annotation: a box without an area")
        x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + width, size[0]), min(y + height, size[1])
        if x0 >= x1 or y0 >= y1:
            raise DataError("box outside of the picture")
        return float(x0), float(y0), float(x1), float(y1)


def grouped(table: Iterable[Row], field: str) -> dict[int | str | None, list[Row]]:
    """Rows by the value of a field; those without a usable one are under None."""
    groups: dict[int | str | None, list[Row]] = {}
    for row in table:
        groups.setdefault(key(row, field), []).append(row)
    return groups


def key(row: Row, field: str) -> int | str | None:
    """A number or a name; None where a row has something else."""
    value = row.get(field)
    return value if isinstance(value, int | str) else None


def numbered(table: Iterable[Row]) -> list[Row]:
    """Rows that all have an `id`, by which they can be named."""
    return [row if "id" in row else {**row, "id": f"at place {place}"} for place, row in enumerate(table, start=1)]


def _is_side(number: Any) -> TypeGuard[int]:
    return type(number) is int and 0 < number <= _MAX_SIDE


def _finite(number: Any) -> TypeGuard[float]:
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
