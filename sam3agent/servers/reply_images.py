"""The images of a reply: several become one contact sheet, and all fit a budget of bytes that counts base64."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from sam3agent.images import LazyImage
from sam3agent.render.strip import INK, PAPER
from sam3agent.servers.reply_profiles import ReplyProfile

MAX_TILES = 16
"""Maximum number of images on a contact sheet; smaller ones could not be judged."""

_LADDER = ((1536, 90), (1536, 80), (1280, 80), (1024, 80), (1024, 68), (768, 72), (640, 65), (512, 60), (384, 55),
           (256, 50), (160, 40))  # fmt: skip
"""Longest side in pixels and JPEG quality, from the best to what fits nearly any budget."""


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An encoded image of a reply. label: what it shows, for its file name."""

    data: bytes
    label: str

    media_type = "image/jpeg"


def shown_images(images: Sequence[LazyImage], profile: ReplyProfile, budget: int) -> tuple[list[ShownImage], str]:
    """The images of a reply as they are sent, and a remark on what is left out or made small; it may be empty.

    budget: bytes for all images together, in base64.
    """
    if not images:
        return [], ""
    sources: list[tuple[LazyImage | Image.Image, str]] = [(image, str(image.key)) for image in images]
    remark = ""
    if len(images) > profile.max_images:
        sheet, label, remark = _sheet(images)
        sources = [(sheet, label)]
    shown = list[ShownImage]()
    for position, (image, label) in enumerate(sources):
        data = _encoded(image, budget // (len(sources) - position), profile.max_side)
        if data is None:
            remark = _joined(remark, "there is no room for more images; ask for fewer masks to see more")
            break
        budget -= base64_size(len(data))
        shown.append(ShownImage(data, label))
    return shown, remark


def _encoded(image: LazyImage | Image.Image, budget: int, max_side: int) -> bytes | None:
    """An image within a budget, in the bytes that it has already if they are small enough."""
    if isinstance(image, Image.Image):
        return encode_within(image, budget, max_side)
    with Image.open(io.BytesIO(image.data)) as head:
        fits = max(head.size) <= max_side
    fits = fits and base64_size(len(image.data)) <= budget
    return image.data if fits else encode_within(image.opened(), budget, max_side)


def base64_size(size: int) -> int:
    """Length in base64 of some bytes."""
    return -(-size // 3) * 4


def encode_within(image: Image.Image, budget: int, max_side: int) -> bytes | None:
    """A JPEG whose base64 has at most `budget` bytes, as good as possible; None if none is small enough."""
    for side, quality in _LADDER:
        if side > max_side and side != _LADDER[-1][0]:
            continue
        small = image.convert("RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 80 else 2)
        if base64_size(buffer.tell()) <= budget:
            return buffer.getvalue()
    return None


def _sheet(images: Sequence[LazyImage]) -> tuple[Image.Image, str, str]:
    """One contact sheet in place of many images, its label, and a remark on what is left out or small."""
    tiles = images[:MAX_TILES]
    captions = [_caption(image) for image in tiles]
    label = "sheet-" + "-".join(dict.fromkeys(str(i) for image in tiles for i in image.key.mask_ids))
    remark = f"the images are small on one sheet; ask for {_few(images)} to see more detail"
    if len(images) > len(tiles):
        remark = f"only the first {len(tiles)} of {len(images)} images are shown; ask for fewer masks to see the rest"
    return contact_sheet([tile.opened() for tile in tiles], captions), label[:60], remark


def _few(images: Sequence[LazyImage]) -> str:
    return "one mask" if len({image.key.mask_ids for image in images}) > 1 else "fewer masks"


def _caption(image: LazyImage) -> str:
    ids = ", ".join(map(str, image.key.mask_ids))
    what = {"located": "in the image", "zoomed": "zoomed"}.get(image.key.kind, image.key.kind)
    return f"mask {ids}: {what}" if ids else what


def contact_sheet(images: Sequence[Image.Image], captions: Sequence[str], side: int = 1536) -> Image.Image:
    """Images of any sizes in equal cells, each scaled to its cell, under captions; at most `side` pixels wide or tall.

    The number of columns is the one that shows the images largest; it is even if there are pairs.
    """
    bar, gap = 30, 6
    ratio = sum(image.width / image.height for image in images) / len(images)
    columns = max(range(1, len(images) + 1), key=lambda n: _cell(n, len(images), side, bar + gap, gap, ratio))
    rows = -(-len(images) // columns)
    wide = (side - gap) // columns - gap
    tall = min((side - gap) // rows - gap - bar, max(round(wide * image.height / image.width) for image in images))
    canvas = Image.new("RGB", (gap + columns * (wide + gap), gap + rows * (tall + bar + gap)), PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(bar - 10)
    for position, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(position, columns)
        x, y = gap + column * (wide + gap), gap + row * (tall + bar + gap)
        draw.text((x + 4, y + 3), caption, font=font, fill=INK)
        scale = min(wide / image.width, tall / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        small = image.resize(size, Image.Resampling.LANCZOS)
        canvas.paste(small, (x + (wide - size[0]) // 2, y + bar + (tall - size[1]) // 2))
    return canvas


def _cell(columns: int, count: int, side: int, band: int, gap: int, ratio: float) -> tuple[float, int]:
    """How wide an image of a ratio is in a sheet of so many columns; of equals, an even number of columns is better."""
    rows = -(-count // columns)
    width = (side - gap) / columns - gap
    height = (side - gap) / rows - band
    return round(min(width, height * ratio), 1), -(columns % 2)


def _joined(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))
