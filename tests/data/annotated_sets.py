"""Miniature datasets for tests."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from sam3model.ops.masks import encode_rle, mask_to_box

SIZE = (40, 30)
"""Width and height of every image."""


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    """An image file of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)).save(path)


def blob(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A mask (H, W) bool: an ellipse inside the image."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]]
    cx, cy, rx, ry = rng.uniform(8, size[0] - 8), rng.uniform(8, size[1] - 8), rng.uniform(2, 7), rng.uniform(2, 7)
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def annotation(number: int, image: int, category: int, mask: np.ndarray | None = None, **fields: object) -> dict:
    """A row of `annotations` with the RLE of `mask`, or else a rectangle as polygon."""
    box = (5, 6, 25, 20) if mask is None else mask_to_box(mask)
    x0, y0, x1, y1 = box
    segmentation = [[x0, y0, x1, y0, x1, y1, x0, y1]] if mask is None else encode_rle(mask)
    row = {"id": number, "image_id": image, "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0]}
    return row | {"segmentation": segmentation, "iscrowd": 0} | fields


def image(number: int, **fields: object) -> dict:
    """A row of `images`."""
    return {"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]} | fields


def write(path: Path, images: list[dict], annotations: list[dict], classes: list[str], **tables: object) -> Path:
    """Write a COCO file; class ids start at 1."""
    categories = [{"id": number, "name": name, "supercategory": "thing"} for number, name in enumerate(classes, 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories} | tables
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def small_coco(root: Path, split: str = "train", count: int = 6) -> Path:
    """A dataset in Roboflow's layout: a cat in every image, a dog on the left in every other one, never a bird."""
    images, annotations = [], []
    for number in range(1, count + 1):
        write_image(root / split / f"{number}.png", number)
        images.append(image(number))
        annotations.append(annotation(2 * number, number, 1, blob(number)))
        if number % 2:
            annotations.append(annotation(2 * number + 1, number, 2, blob(100 + number)))
    write(
        root / split / "_annotations.coco.json", images, annotations, ["cat", "dog_on_the_left", "bird", "cow_(animal)"]
    )
    return root


def boxes_only(root: Path, count: int = 4) -> Path:
    """A cat in every image and a dog in none, with boxes only."""
    for number in range(1, count + 1):
        write_image(root / "train" / f"{number}.png", number)
    rows = [annotation(number, number, 1, segmentation=[]) for number in range(1, count + 1)]
    images = [image(number) for number in range(1, count + 1)]
    write(root / "train" / "_annotations.coco.json", images, rows, ["cat", "dog"])
    return root


def one_class(root: Path, count: int = 4) -> Path:
    """A cat in every image, and no other class."""
    small_coco(root, count=count)
    rows = [annotation(number, number, 1, blob(number)) for number in range(1, count + 1)]
    images = [image(number) for number in range(1, count + 1)]
    write(root / "train" / "_annotations.coco.json", images, rows, ["cat"])
    return root
