"""COCO and SA-Co annotation files: their tables, and validated access to the rows, for training and evaluation alike.

A fault is reported to a policy: training counts and skips unusable rows, evaluation refuses the file.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sam3model.data.annotations import Annotation
from sam3model.data.faults import Faults, StrictFaults
from sam3model.data.segmentations import coco, read_segmentation
from sam3model.errors import DataError

Row = Mapping[str, Any]
XYWH = tuple[float, float, float, float]
T = TypeVar("T")

_MAX_SIDE = 1 << 16
_MAX_NUMBER = 1e15
"""Coordinates and areas stay far below this; excludes infinity and integers too large for a float."""


def class_phrase(name: str) -> str:
    """A class name as a noun phrase, for training and evaluation: without underscores and brackets.

    Words in brackets tell homonyms apart (`bow_(weapon)`), so they stay in place. Capitals are left to the tokenizer.

    >>> class_phrase("bow_(decorative_ribbons)")
    'bow decorative ribbons'
    """
    return " ".join("".join(" " if letter in "_()[]" else letter for letter in name).split()) or name


def real_categories(categories: Sequence[Row], annotations: Sequence[Row]) -> list[Row]:
    """The categories without Roboflow's root category, which is only the supercategory of the others.

    A category with annotations always counts as real.
    """
    parents = [row.get("supercategory") for row in categories]
    used = grouped(annotations, "category_id")
    return [
        row
        for row in categories
        if key(row, "id") in used or row.get("supercategory") != "none" or row.get("name") not in parents
    ]


class CocoFile:
    """The tables of one annotation file.

    content: the parsed JSON; None: read it from `path`. strict: raise `DataError` for the first fault; otherwise faults
    are counted in `image_faults` and `annotation_faults`, and the methods skip the row or return None.

    Raises:
        DataError: the file cannot be read, or lacks a table of images or annotations.
    """

    def __init__(self, path: Path, content: Any = None, *, strict: bool = False) -> None:
        self.path = path
        self.content = read_json(path) if content is None else content
        self.images = table(self.content, "images", path)
        self.annotations = [
            row if "id" in row else {**row, "id": f"number {place}"}
            for place, row in enumerate(table(self.content, "annotations", path), start=1)
        ]
        self.image_faults = StrictFaults(path) if strict else Faults()
        self.annotation_faults = StrictFaults(path) if strict else Faults()

    def categories(self, *, skip_root: bool = False) -> dict[int, str]:
        """Category names by id, without Roboflow's root category if `skip_root`; raises `DataError` if malformed."""
        rows = table(self.content, "categories", self.path)
        rows = real_categories(rows, self.annotations) if skip_root else rows
        numbers = [required(row, "id", int, f"{self.path}: category") for row in rows]
        names = (required(row, "name", str, f"{self.path}: category {row['id']}") for row in rows)
        return dict(zip(numbers, names, strict=True))

    def unique_images(self) -> Iterator[Row]:
        """Rows of `images`; a missing or repeated `id` is a fault."""
        seen = set()
        for row in self.images:
            number = key(row, "id")
            if number is None or number in seen:
                self.image_faults.note("'id' is missing or not unique", str(row.get("file_name")))
                continue
            seen.add(number)
            yield row

    def annotations_by_image(self, categories: Collection[int] | None = None) -> dict[int | str | None, list[Row]]:
        """Rows of `annotations` by image id; unknown images, and categories outside `categories`, are faults."""
        images = {key(row, "id") for row in self.images} - {None}
        good = []
        for row in self.annotations:
            category = row.get("category_id")
            if key(row, "image_id") not in images:
                self.annotation_faults.note("'image_id' is not in the file", where(row))
            elif categories is not None and not (isinstance(category, int) and category in categories):
                self.annotation_faults.note("'category_id' is not in the file", where(row))
            else:
                good.append(row)
        return grouped(good, "image_id")

    def image(self, row: Row) -> tuple[str, tuple[int, int]] | None:
        """File name and size (width, height) of an image; None after a fault."""
        name, size = row.get("file_name"), (row.get("width"), row.get("height"))
        if not name and isinstance(row.get("coco_url"), str):  # LVIS
            name = row["coco_url"].partition("://")[2].partition("/")[2]
        if not isinstance(name, str):
            return self.image_faults.note("'file_name' is missing", f"image {row.get('id')}")
        width, height = (side if type(side) is int and 0 < side <= _MAX_SIDE else 0 for side in size)
        if not width or not height:
            return self.image_faults.note("'width' or 'height' is invalid", f"image {row.get('id')}")
        return name, (width, height)

    def annotation(
        self, row: Row, size: tuple[int, int], *, masks: bool = True, normalised: bool = False
    ) -> Annotation | None:
        """An annotation clipped to its image of `size`; None after a fault.

        masks: read segmentations as well. normalised: boxes are fractions of the image size (SA-Co).
        """
        try:
            segmentation = read_segmentation(row.get("segmentation"), size) if masks else None
            if isinstance(segmentation, dict) and not coco.area(segmentation):
                raise DataError("'segmentation' has no pixels")
            scale = size if normalised else (1, 1)
            x, y, width, height = (number * side for number, side in zip(read_xywh(row), scale * 2, strict=True))
            if width <= 0 or height <= 0:
                raise DataError("'bbox' has no area")
            x0, y0, x1, y1 = max(x, 0.0), max(y, 0.0), min(x + width, size[0]), min(y + height, size[1])
            if x0 >= x1 or y0 >= y1:
                raise DataError("'bbox' is outside the image")
        except DataError as error:
            return self.annotation_faults.note(str(error), where(row))
        return Annotation((float(x0), float(y0), float(x1), float(y1)), segmentation)


def read_json(path: Path) -> Any:
    """A JSON file; raises `DataError` if it cannot be read or parsed."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def table(content: Any, name: str, path: Path) -> list[Row]:
    """The list of objects `name` in a file; raises `DataError` if it is missing or something else."""
    rows = required(content, name, list, str(path))
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: the field {name!r} holds something that is not an object")
    return rows


def required(row: Any, name: str, kind: type[T], place: str) -> T:
    """A required field; raises `DataError` if it is missing or of another type. Booleans do not count as numbers."""
    if not isinstance(row, Mapping) or name not in row:
        raise DataError(f"{place}: the field {name!r} is missing")
    value = row[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{place}: the field {name!r} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def read_xywh(row: Row) -> XYWH:
    """The box of an annotation as the file has it: x, y, width and height; raises `DataError` with a short reason."""
    numbers = row.get("bbox")
    if not isinstance(numbers, list) or len(numbers) != 4 or not all(map(is_number, numbers)):
        raise DataError("'bbox' is not four finite numbers")
    x, y, width, height = map(float, numbers)
    return x, y, width, height


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of plausible size; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_NUMBER


def integers(row: Row, name: str) -> list[int]:
    """The integers in a list field; an empty list if it is missing."""
    value = row.get(name)
    return [number for number in value if isinstance(number, int)] if isinstance(value, list) else []


def grouped(rows: Iterable[Row], field: str) -> dict[int | str | None, list[Row]]:
    """Rows by the value of a field; those without an integer or string are under None."""
    groups: dict[int | str | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row, field), []).append(row)
    return groups


def key(row: Row, field: str) -> int | str | None:
    """An integer or a string; None for anything else."""
    value = row.get(field)
    return value if isinstance(value, int | str) else None


def where(row: Row) -> str:
    """How faults refer to an annotation."""
    return f"annotation {row.get('id')}"
