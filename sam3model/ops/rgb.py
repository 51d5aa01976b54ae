"""Conversion of PIL images of any mode to 8-bit RGB."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


def convert_to_rgb(image: "Image.Image") -> "Image.Image":
    """8-bit RGB, with transparent parts on white.

    16-bit greys keep their scale; other deep greys (32-bit integer, float) are clipped or stretched to their range.
    """
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_8_bits(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 65535.0 if values.max() > 255 else 255.0
    scaled = (values - low) * (255.0 / (high - low) if high > low else 1.0)
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
