"""Segmentations as COCO files hold them, polygons and run-length codes: validated once, rasterised when needed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3model.data.coco_fields import identifier, number
from sam3model.errors import DataError
from sam3model.ops.masks import coco
from sam3model.ops.rle_reading import encode_runs, read_runs

Rle = dict[str, Any]
Polygons = tuple[NDArray[np.float64], ...]
Segmentation = Polygons | Rle
"""Polygons as arrays x0, y0, x1, y1, …, or compressed RLE `{"size": [H, W], "counts": bytes}`."""

_MAX_DEPTH = 4


def read_segmentation(
    value: Any, size: tuple[int, int], note: Callable[[str], None] | None = None
) -> Segmentation | None:
    """Validate the `segmentation` of an image of `size` (width, height); None if it is missing or empty.

    Polygons may be nested in any way: one list of numbers, several, or lists of points. A bad polygon among good ones
    is left out; `note` is then called with the reason.

    Raises:
        DataError: a short reason; the value is malformed or does not fit the image, or no polygon is good.
    """
    if not value:
        return None
    if isinstance(value, Mapping) and "counts" in value:
        return read_rle(value, size)
    if not isinstance(value, list | Mapping):
        raise DataError("'segmentation' is neither polygons nor RLE")
    if isinstance(value, list) and all(isinstance(part, Mapping) and "counts" in part for part in value):
        return coco.merge([read_rle(part, size) for part in value])
    good, faults = list[NDArray[np.float64]](), list[str]()
    for polygon in flat_polygons(value):
        try:
            good.append(read_polygon(polygon, size))
        except DataError as error:
            faults.append(str(error))
    if not good:
        raise DataError(faults[0])
    for fault in faults:
        if note is not None:
            note(f"{fault}: left out, the others are used")
    return tuple(good)


def flat_polygons(value: Any, depth: int = 0) -> list[Any]:
    """Polygons as x0, y0, x1, y1, … from any nesting of lists, points `[x, y]` or `{"x": …, "y": …}`, and VIA's lists.

    What is no polygon is returned as it is. Raises `DataError`, a short reason, if lists are nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise DataError("'segmentation' is nested too deeply")
    if isinstance(value, Mapping):
        return [_joined(value.get("all_points_x"), value.get("all_points_y"))]
    if not isinstance(value, list) or not any(isinstance(part, list | Mapping) for part in value):
        return [value]
    points = [_point(part) for part in value]
    if all(point is not None for point in points):
        return [[place for point in points if point is not None for place in point]]
    return [polygon for part in value for polygon in flat_polygons(part, depth + 1)]


def _point(value: Any) -> list[Any] | None:
    """The two coordinates of a point; None if it is none."""
    if isinstance(value, Mapping) and "x" in value and "y" in value:
        return [value["x"], value["y"]]
    return value if isinstance(value, list) and len(value) == 2 and not isinstance(value[0], list | Mapping) else None


def _joined(xs: Any, ys: Any) -> Any:
    """x0, y0, x1, y1, … from separate lists; None if they are none."""
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        return None
    return [place for point in zip(xs, ys, strict=True) for place in point]


def outline_box(segmentation: Segmentation) -> tuple[float, float, float, float]:
    """The box (x0, y0, x1, y1) around a segmentation, in pixels."""
    if isinstance(segmentation, dict):
        x, y, width, height = coco.toBbox(segmentation).tolist()
        return x, y, x + width, y + height
    points = np.concatenate([polygon.reshape(-1, 2) for polygon in segmentation])
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1, y1


def to_rle(segmentation: Segmentation, size: tuple[int, int]) -> Rle:
    """Rasterise a segmentation to compressed RLE at the image `size` (width, height)."""
    if isinstance(segmentation, dict):
        return segmentation
    width, height = size
    return coco.merge(coco.frPyObjects(list(segmentation), height, width))


def read_rle(value: Mapping[str, Any], size: tuple[int, int]) -> Rle:
    """Validate RLE, compressed or a list of runs, and return it compressed and safe to pass to pycocotools.

    Raises:
        DataError: a short reason; the code is malformed or its size is not that of the image.
    """
    width, height = size
    stated = value.get("size")
    if not isinstance(stated, list | tuple) or [number(one) for one in stated] != [height, width]:
        raise DataError("'segmentation' has another size than the image")
    counts = value.get("counts")
    counts = [identifier(run) for run in counts] if isinstance(counts, list) else counts
    return encode_runs(read_runs(counts, size), size)


def read_polygon(value: Any, size: tuple[int, int]) -> NDArray[np.float64]:
    """Validate a polygon x0, y0, x1, y1, … (2n,) in an image of `size`.

    Raises:
        DataError: a short reason; it has fewer than three points, or coordinates that are not numbers or far outside.
    """
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError("'segmentation' has a polygon coordinate that is not a number") from None
    if points.ndim != 1 or len(points) < 6 or len(points) % 2:
        raise DataError("'segmentation' has a polygon with fewer than three points")
    if not (np.abs(points) <= 4 * max(size)).all():
        raise DataError("'segmentation' has a polygon point far outside the image")
    return points
