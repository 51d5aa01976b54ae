"""Conversion of PIL images of any mode to 8-bit RGB, in bands of rows, so that large images need little memory."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

BAND_PIXELS = 1 << 22
"""Number of pixels converted at once."""

_LEVELS = 1 << 16


def convert_to_rgb(image: "Image.Image") -> "Image.Image":
    """8-bit RGB, with transparent parts on white; a copy, also of an RGB image.

    16-bit greys keep their scale; other deep greys (32-bit integer, float) are clipped or stretched to their range.
    """
    if not image.width or not image.height:
        return image.convert("RGB")
    if image.mode.startswith("I") or image.mode == "F":
        low, high = _range(image)
        return _in_bands(image, lambda band: _to_8_bits(band, low, high))
    if image.has_transparency_data:
        return _in_bands(image, _on_white)
    return image.convert("RGB")


def upright_rgb(image: "Image.Image") -> "Image.Image":
    """An image just read from a file, turned as its EXIF orientation says, as 8-bit RGB; it may be changed in place."""
    from PIL import ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    return image.copy() if image.mode == "RGB" and not image.has_transparency_data else convert_to_rgb(image)


def _in_bands(image: "Image.Image", convert: "Callable[[Image.Image], Image.Image]") -> "Image.Image":
    """An RGB image, converted band by band."""
    from PIL import Image

    result = Image.new("RGB", image.size)
    for top, band in _bands(image):
        result.paste(convert(band), (0, top))
    return result


def _bands(image: "Image.Image") -> "Iterator[tuple[int, Image.Image]]":
    """The image in bands of whole rows, each with the number of its first row."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(band: "Image.Image") -> "Image.Image":
    from PIL import Image

    band = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert("RGB")


def _range(image: "Image.Image") -> tuple[float, float]:
    """The values that become black and white."""
    extremes = [(float(values.min()), float(values.max())) for _, band in _bands(image) for values in [_values(band)]]
    low, high = min(pair[0] for pair in extremes), max(pair[1] for pair in extremes)
    return (low, high) if image.mode == "F" else (0.0, 65535.0 if high > 255 else 255.0)


def _to_8_bits(band: "Image.Image", low: float, high: float) -> "Image.Image":
    from PIL import Image

    values = _values(band)
    if values.dtype.kind == "f":
        return Image.fromarray(_scaled(values, low, high))
    return Image.fromarray(_scaled(np.arange(_LEVELS), low, high)[values.clip(0, _LEVELS - 1)])  # a table is faster


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values - low) * (255.0 / (high - low) if high > low else 1.0)
    return scaled.clip(0, 255).round().astype(np.uint8)


def _values(band: "Image.Image") -> np.ndarray:
    """Integers, or floats without NaN."""
    return np.nan_to_num(np.asarray(band, dtype=np.float64)) if band.mode == "F" else np.asarray(band)
