"""Images as users have them, opened as upright RGB `PIL.Image.Image`, and images that are rendered when looked at."""

import base64
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from sam3model.files import read_at_most
from sam3model.raster_files import MAX_FILE_BYTES, opened_raster, page_count, read_raster

if TYPE_CHECKING:
    from PIL import Image


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

    def settled(self) -> "LazyImage":
        """The same image, byte for byte, without what it was rendered from."""
        settled = LazyImage(self.key, partial(open_image, self.data))
        settled.__dict__["data"] = self.data
        return settled

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
    return decode_image(source if isinstance(source, bytes) else read_source(source), name or _name(source))[0]


def decode_image(data: bytes, name: str) -> "tuple[Image.Image, int]":
    """The first image of an encoded file as `open_image` returns it, and the number of frames or pages of the file.

    Raises `InputError` if it is not a readable image.
    """
    from sam3model.ops.rgb import upright_rgb

    with opened_raster(data, name) as image:
        pages = page_count(image)
        return upright_rgb(image), pages


def read_source(source: "str | Path") -> bytes:
    """The bytes of a file, or of standard input for "-".

    Raises `InputError` if it cannot be read, is not a regular file, or is larger than any image.
    """
    if source == "-":
        return read_at_most(sys.stdin.buffer, MAX_FILE_BYTES, source_name(source))
    return read_raster(source)


def source_name(source: "str | Path") -> str:
    """A source as error messages call it."""
    return "standard input" if source == "-" else str(source)


def _name(source: "str | Path | bytes") -> str:
    return "the image" if isinstance(source, bytes) else source_name(source)


def _to_rgb(image: "Image.Image") -> "Image.Image":
    """Upright, 8 bits per channel, without alpha."""
    from PIL import ImageOps

    from sam3model.ops.rgb import convert_to_rgb

    return convert_to_rgb(ImageOps.exif_transpose(image))
