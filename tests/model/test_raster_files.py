"""Image files are opened through one door: raster formats, regular files, bounded bytes and pixels."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam3agent.images import open_image
from sam3agent.media import open_media
from sam3model.errors import InputError
from sam3model.files import read_at_most, read_regular
from sam3model.frames import open_frames
from sam3model.raster_files import MAX_FILE_BYTES, MAX_PIXELS, opened_raster, page_count, raster_size

DOORS: dict[str, Callable[[Path], object]] = {
    "image": open_image,
    "media": open_media,
    "bytes": lambda path: open_image(path.read_bytes()),
    "frames": lambda path: open_frames(path).frame(0),
    "size": raster_size,
}


def png(width: int, height: int, depth: int = 8, colour: int = 0, pixels: bytes = b"") -> bytes:
    """A PNG with any header."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "head",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 32, 60, 0, 0, 0, 0, 0) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.4\n",
        b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(30),
        b"SIMPLE  =                    T" + b" " * 50,
        b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 4, 4, 8, 3) + bytes(80),
    ],
)
def test_formats_that_run_programs_or_hold_files_are_not_opened(
    head: bytes, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    path = tmp_path / "photo.jpg"
    path.write_bytes(head)
    with pytest.raises(InputError, match="not an image in a supported format"):
        DOORS[door](path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("door", [name for name in DOORS if name != "bytes"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "socket"])
def test_only_regular_files_are_opened(door: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path = Path("/dev/zero")
    with pytest.raises(InputError, match="not a regular file"):
        DOORS[door](path)


@pytest.mark.parametrize("door", [name for name in DOORS if name != "bytes"])
def test_a_file_larger_than_any_image_is_not_read(door: str, tmp_path: Path) -> None:
    path = tmp_path / "sparse.png"
    with path.open("wb") as file:
        file.write(png(4, 4))
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match="is too large"):
        DOORS[door](path)


@pytest.mark.parametrize("size", [(12_001, 10_000), (14_000, 14_000), (60_000, 60_000), (MAX_PIXELS + 1, 1)])
def test_the_limit_that_is_named_is_the_one_that_holds(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="the limit is 120 million") as caught:
        open_image(png(*size))
    assert "\n" not in str(caught.value)
    with opened_raster(png(12_000, 10_000)) as image:
        assert image.size == (12_000, 10_000)


def test_deep_images_are_converted_in_bands() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (3001, 1501)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=0)
    expected = (values * (255 / 65535)).round().astype(np.uint8)
    assert np.array_equal(np.asarray(open_image(buffer.getvalue()))[..., 1], expected)


def test_pages_are_counted() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "TIFF", "PNG", "WEBP"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        with opened_raster(buffer.getvalue()) as image:
            assert page_count(image) == 3
            assert image.convert("RGB").getpixel((0, 0))[0] > 200  # back at the first


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100) == b"x" * 100
    with pytest.raises(InputError, match="too large"):
        read_regular(path, 99)
    with Path("/dev/zero").open("rb") as endless, pytest.raises(InputError, match="standard input is too large"):
        read_at_most(endless, 5_000_000, "standard input")
