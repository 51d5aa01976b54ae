"""Segmentations as COCO files hold them, polygons and run-length codes: validated once, rasterised when needed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import DataError
from sam3model.ops.masks import coco
from sam3model.ops.rle_reading import encode_runs, read_runs

Rle = dict[str, Any]
Polygons = tuple[NDArray[np.float64], ...]
Segmentation = Polygons | Rle
"""Polygons as arrays x0, y0, x1, y1, …, or compressed RLE `{"size": [H, W], "counts": bytes}`."""


def read_segmentation(value: Any, size: tuple[int, int]) -> Segmentation | None:
    """Validate the `segmentation` of an image of `size` (width, height); None if it is missing or empty.

    Raises:
        DataError: a short reason; the value is malformed or does not fit the image.
    """
    if not value:
        return None
    if isinstance(value, Mapping):
        return read_rle(value, size)
    if not isinstance(value, list):
        raise DataError("'segmentation' is neither polygons nor RLE")
    return tuple(read_polygon(polygon, size) for polygon in value)


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
    if value.get("size") not in ([height, width], (height, width)):
        raise DataError("'segmentation' has another size than the image")
    return encode_runs(read_runs(value.get("counts"), size), size)


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
