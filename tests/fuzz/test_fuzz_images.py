"""Image files: an upright RGB image within the limits, or one line; never a crash of a decoder."""

import io
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image, features

from sam3agent.images import open_image
from sam3model.errors import InputError
from sam3model.raster_files import MAX_PIXELS, raster_size
from tests.fuzz.commands import sam3agent
from tests.fuzz.fuzzing import fuzzed
from tests.fuzz.mutations import damaged_bytes


@cache
def files() -> dict[str, bytes]:
    """A small image in every format and kind of pixel that cameras, phones and tools write."""
    pixels = np.random.default_rng(0).integers(0, 255, (9, 13, 4), np.uint8)
    colour, clear = Image.fromarray(pixels[..., :3]), Image.fromarray(pixels)
    grey16 = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    turned = Image.Exif()
    turned[0x0112] = 6
    made = {
        "jpeg": saved(colour, "JPEG", exif=turned), "cmyk": saved(colour.convert("CMYK"), "JPEG"),
        "png": saved(colour, "PNG"), "alpha": saved(clear, "PNG"), "grey16": saved(grey16, "PNG"),
        "palette": saved(colour.quantize(7), "PNG", transparency=2), "bits": saved(colour.convert("1"), "PNG"),
        "bmp": saved(colour, "BMP"), "ppm": saved(colour, "PPM"), "tga": saved(clear, "TGA"),
        "gif": saved(colour.quantize(9), "GIF", save_all=True, append_images=[colour.quantize(5)]),
        "tiff": saved(clear, "TIFF", compression="tiff_lzw"), "float": saved(grey16.convert("F"), "TIFF"),
        "pages": saved(colour, "TIFF", save_all=True, append_images=[colour.convert("L")]),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    }  # fmt: skip
    optional = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}
    return made | {name: saved(clear, name) for name, part in optional.items() if features.check(part)}


def saved(image: Image.Image, kind: str, **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def seeds() -> st.SearchStrategy[bytes]:
    return st.sampled_from(sorted(files())).map(files().__getitem__)


FILES = st.deferred(lambda: seeds().flatmap(damaged_bytes)) | st.binary(max_size=64)


@fuzzed(FILES, quick=120)
def test_bytes_are_an_image_or_refused(folder: Path, data: bytes) -> None:
    path = folder / "image.jpg"
    path.write_bytes(data)
    try:
        size = raster_size(path)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        size = None
    try:
        image = open_image(path)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        return
    assert size is not None
    assert image.mode == "RGB" and sorted(image.size) == sorted(size)
    assert 0 < image.width * image.height <= MAX_PIXELS
    assert np.asarray(image).shape == (image.height, image.width, 3)


def test_every_seed_is_an_image() -> None:
    for name, data in files().items():
        if name != "postscript":
            assert sorted(open_image(data).size) == [9, 13], name


@fuzzed(FILES, quick=3)
def test_the_command_refuses_in_one_line(folder: Path, data: bytes) -> None:
    (folder / "image.png").write_bytes(data)
    out = str(folder / "out")
    ended = sam3agent("ask", str(folder / "image.png"), "the ball", "--out", out, "--json", codes=(0, 2))
    assert ended.code == 0 or len([line for line in ended.err.splitlines() if line.startswith("sam3agent: ")]) == 1
