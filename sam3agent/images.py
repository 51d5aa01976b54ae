"""Pictures as users have them, opened as one thing: an upright RGB `PIL.Image.Image`."""

import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sam3model.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 300_000_000
"""A picture that unpacks to more is refused: nearly always a decompression bomb."""


def open_picture(source: "str | Path | bytes | Image.Image", name: str | None = None) -> "Image.Image":
    """An RGB picture, upright (EXIF), transparent parts on white; "-" reads standard input.

    `name` is what errors call it. Raises `InputError` in one line where there is no readable picture.
    """
    from PIL import Image

    if isinstance(source, Image.Image):
        return _to_rgb(source)
    data = source if isinstance(source, bytes) else read_source(source)
    name = name or ("the picture" if isinstance(source, bytes) else _name(source))
    if not data:
        raise InputError(f"{name} is empty")
    return _decode(data, name)


def read_source(source: "str | Path") -> bytes:
    """The bytes of a file, or of standard input for "-"; raises `InputError`."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {source}") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder, not a picture") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error


def _name(source: "str | Path") -> str:
    return "standard input" if source == "-" else str(source)


def _decode(data: bytes, name: str) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            _check_size(image.size, name)
            return _to_rgb(image)
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} unpacks to more than {MAX_PIXELS // 1_000_000} million pixels; refused") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not a picture that can be read (JPEG, PNG, WebP, TIFF, …)") from error
    except InputError:
        raise
    except Exception as error:  # decoders of broken files raise nearly anything
        raise InputError(
            f"{name} is a damaged picture: {str(error).splitlines()[0] if str(error) else 'no data'}"
        ) from error


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(f"{name} has {width}x{height} pixels, more than {MAX_PIXELS // 1_000_000} million; refused")


def _to_rgb(image: "Image.Image") -> "Image.Image":
    """Upright, 8 bits, no alpha."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: "Image.Image") -> "Image.Image":
    """Deep grey to 8 bits: 16-bit ranges keep their scale, others are stretched to what they hold."""
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 65535.0 if values.max() > 255 else 255.0
    scaled = (values - low) * (255.0 / (high - low) if high > low else 1.0)
    return Image.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
