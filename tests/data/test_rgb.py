"""Conversion of images of any mode to 8-bit RGB."""

import numpy as np
import pytest
from PIL import Image

from sam3model.ops.rgb import convert_to_rgb


def converted(image: Image.Image) -> np.ndarray:
    found = convert_to_rgb(image)
    assert found.mode == "RGB"
    return np.asarray(found)[..., 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 32768, 65535]], np.uint16), [[0, 1, 128, 255]]),
        (np.array([[0, 7, 200, 255]], np.uint16), [[0, 7, 200, 255]]),  # 8-bit values in a 16-bit file
        (np.array([[0, 65535, 70000, -5]], np.int32), [[0, 255, 255, 0]]),
        (np.array([[-1, 0, 1, np.nan]], np.float32), [[0, 128, 255, 128]]),
        (np.full((1, 4), 0.5, np.float32), [[0, 0, 0, 0]]),
    ],
)
def test_deep_greys_are_scaled_to_8_bits(values, expected):
    assert converted(Image.fromarray(values)).tolist() == expected


def test_transparent_parts_become_white_in_every_mode():
    assert converted(Image.new("RGBA", (1, 1), (9, 9, 9, 0))).tolist() == [[255]]
    assert converted(Image.new("LA", (1, 1), (9, 0))).tolist() == [[255]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    assert converted(palette).tolist() == [[9]]
    palette.info["transparency"] = 0
    assert converted(palette).tolist() == [[255]]


def test_ordinary_images_are_unchanged():
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3), np.uint8)
    assert np.array_equal(np.asarray(convert_to_rgb(Image.fromarray(pixels))), pixels)
    assert converted(Image.fromarray(pixels[..., 0])).tolist() == pixels[..., 0].tolist()
