"""Small clips for tests, with the frame number drawn into every frame, and ways to damage them."""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
SIZE = (96, 64)


def numbered(t: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A grey frame whose upper half shows `t` as twelve bars, white for 1, lowest bit left; the lower right is red."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        image[: height // 2, edges[bit] : edges[bit + 1]] = 255 if t >> bit & 1 else 0
    image[height // 2 :, width // 2 :] = (220, 30, 30)
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    """The number that `numbered` drew."""
    height, width = image.shape[:2]
    edges = np.linspace(0, width, BITS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
    return sum(1 << bit for bit, x in enumerate(middles) if image[height // 4, x].mean() > 127)


CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", {"bf": "3", "b_strategy": "0"}),
    "h264.mkv": ("libx264", "yuv420p", {"bf": "3", "b_strategy": "0"}),
    "open_gop.mp4": ("libx264", "yuv420p", {"bf": "3", "b_strategy": "0", "x264-params": "open-gop=1"}),
    "mpeg4.mov": ("mpeg4", "yuv420p", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"bf": "2"}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"}),
    "vp8.webm": ("libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    "drawn.gif": ("gif", "rgb8", {}),
}
"""Kinds of clips: encoder, pixel format and options, by a file name that `write_clip` understands."""


def write_clip(
    path: Path,
    count: int = 60,
    *,
    kind: str = "h264.mp4",
    size: tuple[int, int] = SIZE,
    rate: int = 25,
    gop: int = 12,
    times: Sequence[float] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    index_first: bool = True,
    draw: Callable[[int, tuple[int, int]], NDArray[np.uint8]] = numbered,
) -> Path:
    """A clip of `count` frames. rotation: degrees counter-clockwise by which players turn it. times: in seconds."""
    codec, pixels, options = CODECS[kind]
    header = {"movflags": "+faststart"} if index_first and kind.endswith(("mp4", "mov")) else {}
    with av.open(str(path), "w", format=_format(kind), container_options=header) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        for t in range(count):
            frame = av.VideoFrame.from_ndarray(draw(t, size), "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = t, Fraction(1, rate)
            if times is not None:
                frame.pts, frame.time_base = round(times[t] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """A second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 44100
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    return path


def write_without_frames(path: Path) -> Path:
    """An mp4 that was cut off before its first frame."""
    data = write_clip(path, 3).read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    return path


def trim_by_edit_list(path: Path, start: float, seconds: float) -> Path:
    """Make an mp4 show only a part, as phones do when a user trims a clip: no frame leaves the file."""
    data = bytearray(path.read_bytes())
    media, edits = data.index(b"mdhd"), data.index(b"elst")
    (ticks,) = struct.unpack_from(">I", data, media + 16)
    (offset,) = struct.unpack_from(">i", data, edits + 16)
    struct.pack_into(">Ii", data, edits + 12, round(seconds * 1000), offset + round(start * ticks))
    path.write_bytes(data)
    return path


def cut(path: Path, fraction: float) -> Path:
    """Keep only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


def break_packets(path: Path, packets: Iterable[int]) -> Path:
    """Overwrite the packets at these positions of the video with bytes that no decoder accepts."""
    with av.open(str(path)) as container:
        spans = [(p.pos, bytes(p)) for p in container.demux(container.streams.video[0]) if p.size]
    data = bytearray(path.read_bytes())
    for number in packets:
        near, content = spans[number]
        position = data.index(content, near or 0)
        data[position : position + len(content)] = b"\xff" * len(content)
    path.write_bytes(data)
    return path


def _format(kind: str) -> str:
    ending = kind.rsplit(".", 1)[1]
    return {"mkv": "matroska"}.get(ending, ending)
