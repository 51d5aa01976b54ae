"""ReasonSeg: `X.jpg` with `X.json` next to it, polygons as in LabelMe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw

from evals.dataset_files import MAX_SIDE, field, image_opener, numbers, read_json
from evals.samples import DatasetSplit, QuestionSample
from evals.scorers.referring import MaskTarget
from sam3model.data.dataset_paths import inside
from sam3model.errors import DataError, InputError
from sam3model.metrics.overlap import as_rle
from sam3model.raster_files import opened_raster

TARGET, IGNORED = 1, 255


def read(dataset: DatasetSplit) -> list[QuestionSample[MaskTarget]]:
    """The images of a split; `text[0]` is the question."""
    folder = inside(dataset.root, dataset.split)
    names = sorted(path.stem for path in folder.glob("*.json"))
    if not names:
        raise DataError(f"{folder}: ReasonSeg annotations (X.json next to X.jpg) are missing")
    return [_sample(dataset.root, dataset.split, name) for name in names]


def _sample(root: Path, split: str, name: str) -> QuestionSample[MaskTarget]:
    path = inside(root, split, f"{name}.json")
    data = read_json(path)
    texts = field(data, "text", list, str(path))
    if not texts or not isinstance(texts[0], str):
        raise DataError(f"{path}: the field 'text' has no question")
    labels = _draw(_shapes(data, path), _size(inside(root, split, f"{name}.jpg")))
    kind = "long" if field(data, "is_sentence", (bool, int), str(path)) else "short"
    target = MaskTarget(as_rle(labels == TARGET), kind, as_rle(labels == IGNORED))
    return QuestionSample(name, image_opener(root, (split,), f"{name}.jpg"), texts[0], target)


def _size(path: Path) -> tuple[int, int]:
    """Upright width and height of an image file, read from its header."""
    try:
        with opened_raster(path) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
            width, height = image.size[::-1] if turned else image.size
    except InputError as error:
        raise DataError(f"{path} cannot be read as an image") from error
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{path}: image size {width}x{height} is invalid")
    return width, height


def _shapes(data: Any, path: Path) -> list[tuple[int, list[tuple[int, int]]]]:
    """Label and corners of each polygon, in file order. Coordinates are truncated to integers."""
    polygons = []
    for number, shape in enumerate(field(data, "shapes", list, str(path))):
        where = f"{path}: shape {number}"
        label = field(shape, "label", str, where).lower()
        corners = [_corner(point, where) for point in field(shape, "points", list, where)]
        if "flag" not in label and corners:
            polygons.append((IGNORED if "ignore" in label else TARGET, corners))
    return polygons


def _corner(point: Any, where: str) -> tuple[int, int]:
    x, y = numbers(point, 2, f"{where}: the field 'points'")
    if max(abs(x), abs(y)) > 4 * MAX_SIDE:
        raise DataError(f"{where}: the field 'points' has a corner far outside the image")
    return int(x), int(y)


def _draw(shapes: Sequence[tuple[int, list[tuple[int, int]]]], size: tuple[int, int]) -> np.ndarray:
    """Labels (H, W): polygons with their outline, the largest first, so that smaller ones stay visible."""
    masks = [(value, _polygon(corners, size)) for value, corners in shapes]
    labels = np.zeros((size[1], size[0]), np.uint8)
    for value, mask in sorted(masks, key=lambda item: -int(item[1].sum())):
        labels[mask] = value
    return labels


def _polygon(corners: list[tuple[int, int]], size: tuple[int, int]) -> np.ndarray:
    canvas = Image.new("1", size)
    draw = ImageDraw.Draw(canvas)
    if len(corners) > 2:
        draw.polygon(corners, fill=1, outline=1)
    draw.line([*corners, corners[0]], fill=1, width=1)
    return np.asarray(canvas, bool)
