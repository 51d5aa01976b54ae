"""The image predictor with a small model, and a photo that it has encoded; for several files of tests."""

import json
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from sam3model.image import EncodedImage, Sam3ImagePredictor
from sam3model.instances import Instances
from tests.model.detector_goldens import small_model
from tests.model.weight_rule import GOLDENS

PHRASES = ["rocket on the launch pad", "a tower", "red ball", "!@#", "a person in white"]
ALL = 0.0
"""A threshold below every score."""


@cache
def session() -> dict[str, Any]:
    return json.loads((GOLDENS / "image_small_processor.json").read_text())


@cache
def photo() -> Image.Image:
    return Image.open(GOLDENS / session()["image"]).convert("RGB")


@cache
def predictor() -> Sam3ImagePredictor:
    return Sam3ImagePredictor(small_model())


@cache
def encoded() -> EncodedImage:
    return predictor().encode(photo())


def pixels(*cxcywh: float) -> list[float]:
    """A normalised box in pixels of the photo: x0, y0, x1, y1."""
    (cx, cy, w, h), (width, height) = cxcywh, photo().size
    return [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]


THIS, NOT_THIS = (0.52, 0.45, 0.2, 0.55), (0.15, 0.15, 0.25, 0.25)


def same(left: Instances, right: Instances, tolerance: float = 1e-5) -> bool:
    if len(left) != len(right):
        return False
    scores = np.allclose(left.scores, right.scores, atol=tolerance)
    boxes = np.allclose(left.boxes, right.boxes, atol=1e-2)
    return scores and boxes and (left.masks != right.masks).sum() <= 1e-4 * left.masks.size
