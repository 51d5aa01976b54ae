"""Images as users have them, opened as upright RGB `PIL.Image.Image`, and images that are rendered when looked at."""

import base64
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sam3model.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 300_000_000
"""A larger image is refused: it is nearly always a decompression bomb."""


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """What an image shows: which frame, which masks on it and how.

    kind: "frame" (no mask), "numbered", "located", "zoomed", "selected", or a name that a tool chooses.
    """

    frame: int
    mask_ids: tuple[int, ...] = ()
    kind: str = "frame"

    def __str__(self) -> str:
        ids = "-".join(map(str, self.mask_ids))
        return "-".join(part for part in (self.kind, ids, f"f{self.frame}" if self.frame else "") if part)


@dataclass(frozen=True, eq=False)
class LazyImage:
    """An image to show to a model or a person; rendered and encoded on first use, then kept byte for byte."""

    key: EvidenceKey
    render: Callable[[], "Image.Image"] = field(repr=False)

    media_type = "image/jpeg"

    @cached_property
    def data(self) -> bytes:
        """The encoded image (JPEG, quality 90, full chroma resolution)."""
        buffer = io.BytesIO()
        self.render().convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
        return buffer.getvalue()

    @property
    def data_url(self) -> str:
        """`data:image/jpeg;base64,…`, the form that OpenAI's `image_url` expects."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"

    def opened(self) -> "Image.Image":
        """The image as its bytes have it."""
        from PIL import Image

        return Image.open(io.BytesIO(self.data)).convert("RGB")

    @property
    def was_sent(self) -> bool:
        """Whether a backend has read its bytes."""
        return "data" in self.__dict__


def open_image(source: "str | Path | bytes | Image.Image", name: str | None = None) -> "Image.Image":
    """An RGB image, upright (EXIF), with transparent areas on white; "-" reads standard input.

    `name` is used in error messages. Raises `InputError` if the source is not a readable image.
    """
    from PIL import Image

    if isinstance(source, Image.Image):
        return _to_rgb(source)
    data = source if isinstance(source, bytes) else read_source(source)
    name = name or ("the image" if isinstance(source, bytes) else source_name(source))
    if not data:
        raise InputError(f"{name} is empty")
    return _decode(data, name)


def read_source(source: "str | Path") -> bytes:
    """The bytes of a file, or of standard input for "-". Raises `InputError` if it cannot be read."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {source}") from error
    except IsADirectoryError as error:
        raise InputError(f"{source} is a folder, not an image file") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error


def source_name(source: "str | Path") -> str:
    """A source as error messages call it."""
    return "standard input" if source == "-" else str(source)


def _decode(data: bytes, name: str) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width}x{image.height} pixels"
                raise InputError(f"{name} is too large: {size}; the limit is {MAX_PIXELS // 1_000_000} million")
            return _to_rgb(image)
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} is too large: the limit is {MAX_PIXELS // 1_000_000} million pixels") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not an image in a supported format (JPEG, PNG, WebP, TIFF, …)") from error
    except InputError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged files
        raise InputError(
            f"{name} is a damaged image: {str(error).splitlines()[0] if str(error) else 'no data'}"
        ) from error


def _to_rgb(image: "Image.Image") -> "Image.Image":
    """Upright, 8 bits per channel, without alpha."""
    from PIL import ImageOps

    from sam3model.ops.rgb import convert_to_rgb

    return convert_to_rgb(ImageOps.exif_transpose(image))
