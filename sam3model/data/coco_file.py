"""COCO and SA-Co annotation files: their tables, and validated access to the rows, for training and evaluation alike.

A fault is reported to a policy: training counts and skips unusable rows, evaluation refuses the file. What can only be
read in one way is repaired and counted, such as ids written as 1.0 or a missing box beside an outline.
"""

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sam3model.data.annotations import Annotation
from sam3model.data.box_formats import XYWH, BoxSample, Numbers, find_form, refuse_fraction_outlines
from sam3model.data.coco_fields import Row, four_numbers, is_missing, is_number, normalised, number, side
from sam3model.data.faults import Faults, StrictFaults
from sam3model.data.image_files import stored_size
from sam3model.data.segmentations import Segmentation, coco, outline_box, read_segmentation
from sam3model.errors import DataError, InputError
from sam3model.files import read_regular
from sam3model.untrusted import clean_line

__all__ = ["CocoFile", "Row", "class_phrase", "is_number", "number", "read_xywh"]

T = TypeVar("T")
Id = TypeVar("Id", bound=int | str | None)

log = logging.getLogger(__name__)

MAX_BYTES = 4 << 30
"""Maximum size of an annotation file; no data set in use has a larger one."""

_LOOKED_AT = 1000
"""Number of boxes that are compared with their outlines."""


def class_phrase(name: str) -> str:
    """A class name as a noun phrase, for training and evaluation: without underscores and brackets.

    Words in brackets tell homonyms apart (`bow_(weapon)`), so they stay in place. Capitals are left to the tokenizer.

    >>> class_phrase("bow_(decorative_ribbons)")
    'bow decorative ribbons'
    """
    return clean_line("".join(" " if letter in "_()[]" else letter for letter in name)) or clean_line(name)


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
        self.images = [normalised(row) for row in table(self.content, "images", path)]
        self.annotations = [
            normalised(row if "id" in row else {**row, "id": f"number {place}"})
            for place, row in enumerate(table(self.content, "annotations", path), start=1)
        ]
        self.image_faults = StrictFaults(path) if strict else Faults()
        self.annotation_faults = StrictFaults(path) if strict else Faults()
        self.repairs = Faults("repaired")
        self.form = XYWH

    def categories(self, *, skip_root: bool = False) -> dict[int, str]:
        """Category names by id, without Roboflow's root category if `skip_root`; raises `DataError` if malformed."""
        rows = [normalised(row) for row in table(self.content, "categories", self.path)]
        rows = real_categories(rows, self.annotations) if skip_root else rows
        numbers = (required(row, "id", int, f"{self.path}: category") for row in rows)
        named = ((k, class_name(row, f"{self.path}: category {k}")) for k, row in zip(numbers, rows, strict=True))
        return by_id(named, self.path)

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
        """Rows of `annotations` by image id; unknown images, and categories outside `categories`, are faults.

        A row that is there twice, the same in every field, is left out the second time.
        """
        images = {key(row, "id") for row in self.images} - {None}
        good, seen = [], dict[int | str | None, Row]()
        for row in self.annotations:
            category = row.get("category_id")
            if (
                (number := key(row, "id")) is not None
                and seen.setdefault(number, row) is not row
                and seen[number] == row
            ):
                self.repairs.note("given twice: the copy is left out", where(row))
            elif key(row, "image_id") not in images:
                self.annotation_faults.note("'image_id' is not in the file", where(row))
            elif categories is not None and not (isinstance(category, int) and category in categories):
                self.annotation_faults.note("'category_id' is not in the file", where(row))
            else:
                good.append(row)
        return grouped(good, "image_id")

    def image(self, row: Row) -> tuple[str, tuple[int, int]] | None:
        """File name and size (width, height) of an image; None after a fault."""
        name = self.file_name(row)
        size = None if name is None else self.size(row)
        return None if name is None or size is None else (name, size)

    def file_name(self, row: Row) -> str | None:
        """File name of an image; None after a fault."""
        name = row.get("file_name")
        if not name and isinstance(row.get("coco_url"), str):  # LVIS
            name = row["coco_url"].partition("://")[2].partition("/")[2]
        if not isinstance(name, str) or not name:
            return self.image_faults.note("'file_name' is missing", f"image {row.get('id')}")
        return name

    def size(self, row: Row, path: Path | None = None) -> tuple[int, int] | None:
        """Width and height of an image; None after a fault. path: the image file, read if the row has no size."""
        stated = row.get("width"), row.get("height")
        width, height = map(side, stated)
        if width and height:
            return width, height
        if path is not None and all(map(is_missing, stated)) and (found := stored_size(path)):
            self.repairs.note("'width' and 'height' are missing: read from the image", f"image {row.get('id')}")
            return found
        return self.image_faults.note("'width' or 'height' is invalid", f"image {row.get('id')}")

    def annotation(
        self, row: Row, size: tuple[int, int], *, masks: bool = True, normalised: bool = False
    ) -> Annotation | None:
        """An annotation clipped to its image of `size`; None after a fault.

        masks: read segmentations as well. normalised: boxes are fractions of the image size (SA-Co).
        """
        try:
            boxless = is_missing(row.get("bbox"))
            segmentation = self._segmentation(row, size) if masks or boxless else None
            if boxless and segmentation is not None:
                self.repairs.note("'bbox' is missing: taken from the outline", where(row))
                box = outline_box(segmentation)
            else:
                form = replace(XYWH, fractions=True) if normalised else self.form
                box = form.xyxy(read_xywh(row), size)
            if box[2] <= box[0] or box[3] <= box[1]:
                raise DataError("'bbox' has no area")
            x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], size[0]), min(box[3], size[1])
            if x0 >= x1 or y0 >= y1:
                raise DataError("'bbox' is outside the image")
        except DataError as error:
            return self.annotation_faults.note(str(error), where(row))
        return Annotation((float(x0), float(y0), float(x1), float(y1)), segmentation if masks else None)

    def _segmentation(self, row: Row, size: tuple[int, int]) -> Segmentation | None:
        found = read_segmentation(row.get("segmentation"), size, lambda reason: self.repairs.note(reason, where(row)))
        if isinstance(found, dict) and not coco.area(found):
            raise DataError("'segmentation' has no pixels")
        return found

    def settle_boxes(self) -> str | None:
        """Find out the form of the boxes from the outlines beside them. Returns a warning if it is an odd one.

        Raises:
            DataError: the boxes cannot be used in the form that they have.
        """
        sizes = {key(row, "id"): (side(row.get("width")), side(row.get("height"))) for row in self.images}
        samples, boxless = list[BoxSample](), list[Numbers]()
        for row in self.annotations[:: max(1, len(self.annotations) // _LOOKED_AT)]:
            numbers, (width, height) = four_numbers(row.get("bbox")), sizes.get(key(row, "image_id"), (None, None))
            if not width or not height or row.get("iscrowd"):
                continue
            outline = _outline(row, (width, height))
            if numbers and any(numbers):
                samples.append(BoxSample(where(row), numbers, (width, height), outline))
            elif outline and min(width, height) > 2:
                boxless.append(outline)
        try:
            refuse_fraction_outlines(boxless)
            self.form, warning = find_form(samples)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from None
        return warning


def by_id(classes: Iterable[tuple[Id, str]], path: Path) -> dict[Id, str]:
    """Names or phrases of the classes of a file by id. Raises `DataError` if two classes have one id."""
    found = dict[Id, str]()
    for one, name in classes:
        if found.setdefault(one, name) != name:
            both = f"{found[one]!r} and {name!r}"
            raise DataError(f"{path}: category {one} is {both}; give each class an id of its own")
    return found


def class_name(row: Row, place: str) -> str:
    """The name of a category, which may be a number: the classes of digits. Raises `DataError` if it has none."""
    value = row.get("name")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    name = required(row, "name", str, place)
    if not clean_line(name):
        raise DataError(f"{place}: the field 'name' is empty; give the class a name")
    return name


def _outline(row: Row, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """The box of a segmentation; None if there is none that can be read."""
    try:
        found = read_segmentation(row.get("segmentation"), size)
    except DataError:
        return None
    return outline_box(found) if found else None


def read_json(path: Path) -> Any:
    """A JSON file in UTF-8 or UTF-16, or else in Windows-1252, which is logged.

    Raises:
        DataError: it is not a regular file, is too large, or cannot be read or parsed.
    """
    try:
        content = read_regular(path, MAX_BYTES)
    except InputError as error:
        raise DataError(str(error)) from error
    try:
        return json.loads(content)
    except UnicodeDecodeError:
        log.warning("%s is not UTF-8: read as Windows-1252; save it as UTF-8 if names look wrong", path)
        return _parsed(content.decode("cp1252", "replace"), path)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
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


def read_xywh(row: Row) -> tuple[float, float, float, float]:
    """The box of an annotation as the file has it: x, y, width and height; raises `DataError` with a short reason."""
    numbers = four_numbers(row.get("bbox"))
    if numbers is None:
        raise DataError("'bbox' is not four finite numbers")
    return numbers


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
