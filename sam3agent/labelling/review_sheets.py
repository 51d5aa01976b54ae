"""Contact sheets of labelled images, the least sure first, so that a person sees the worst at once."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sam3agent.images import open_image
from sam3agent.labelling.image_placing import image_path_of
from sam3agent.labelling.label_export import LabelledImage
from sam3agent.render import Mark, fit, overlay
from sam3agent.render.strip import strip
from sam3model.errors import InputError
from sam3model.files import replacing

if TYPE_CHECKING:
    from PIL import Image

TILE = (400, 300)
"""Width and height of an image on a sheet, in pixels."""

COLUMNS, ROWS = 4, 4
PER_PAGE = COLUMNS * ROWS

SHEETS = "review/page-*.jpg"
"""Pattern of the files, inside the output folder."""

PAGES = 10
"""Number of sheets: the images that most need a look, not all of them."""


def write_review(images: Iterable[LabelledImage], out: Path, classes: Sequence[str], pages: int = PAGES) -> list[Path]:
    """Write `review/page-001.jpg`, …; their paths.

    Images are ordered by their lowest score; those without a mask come last. Only the images on the sheets are kept
    in memory. Raises `OutputError` if a sheet cannot be written.
    """
    worst = heapq.nsmallest(pages * PER_PAGE, images, key=_doubt)
    for old in out.glob(SHEETS):
        old.unlink()
    paths = []
    for number, start in enumerate(range(0, len(worst), PER_PAGE), start=1):
        shown = list(_tiles(worst[start : start + PER_PAGE], out, classes))
        path = out / "review" / f"page-{number:03d}.jpg"
        with replacing(path) as temporary:
            sheet = strip([tile for tile, _ in shown], [text for _, text in shown], COLUMNS)
            sheet.save(temporary, "JPEG", quality=88)
        paths.append(path)
    return paths


def _doubt(image: LabelledImage) -> tuple[float, int]:
    """Sorts the least sure image first."""
    return min((label.score for label in image.labels), default=1.0), image.number


def _tiles(images: Sequence[LabelledImage], out: Path, classes: Sequence[str]) -> "Iterator[tuple[Image.Image, str]]":
    for image in images:
        try:
            pixels = open_image(image_path_of(out, image.name))
        except InputError as error:
            yield _centred(None), str(error)[-60:]
            continue
        yield _centred(_marked(pixels, image, classes)), _caption(image)


def _marked(pixels: "Image.Image", image: LabelledImage, classes: Sequence[str]) -> "Image.Image":
    """The image with its masks, each with its class and score, at the size of a tile."""
    several = len(classes) > 1
    marks = []
    for place, label in enumerate(image.labels, start=1):
        text = f"{classes[label.kind][:16]} {label.score:.2f}" if several else f"{label.score:.2f}"
        marks.append(Mark(label.kind + 1 if several else place, label.mask, text))
    scale = min(TILE[0] / pixels.width, TILE[1] / pixels.height)
    small, fitted = fit(pixels, tuple(marks), max(1, round(max(pixels.size) * scale)))
    return overlay(small, fitted)


def _caption(image: LabelledImage) -> str:
    name = image.name if len(image.name) <= 32 else "…" + image.name[-31:]
    if not image.labels:
        return f"{name}: no mask"
    return f"{name}: {len(image.labels)}, lowest {min(label.score for label in image.labels):.2f}"


def _centred(image: "Image.Image | None") -> "Image.Image":
    from PIL import Image

    from sam3agent.render.strip import PAPER

    tile = Image.new("RGB", TILE, PAPER)
    if image is not None:
        tile.paste(image, ((TILE[0] - image.width) // 2, (TILE[1] - image.height) // 2))
    return tile
