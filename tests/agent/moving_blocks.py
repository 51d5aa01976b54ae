"""A clip of coloured blocks that move over grass, and a tracker that knows their paths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import ClipMedia
from sam3agent.testing import ScriptedTracker

SIZE = (96, 64)
FRAMES = 12
RATE = 10.0


def white(t: int) -> Box | None:
    """Walks to the right; hidden on frames 5 and 6."""
    return None if t in (5, 6) else (4 + 3 * t, 20, 16 + 3 * t, 44)


def other_white(t: int) -> Box | None:
    """Stands still, and appears on frame 3."""
    return (70, 30, 82, 56) if t >= 3 else None


def red(t: int) -> Box | None:
    """Walks to the left."""
    return (80 - 4 * t, 4, 90 - 4 * t, 18)


PATHS = {"player in white": [white, other_white], "player in red": [red]}
COLOURS = {white: (240, 240, 235), other_white: (225, 225, 230), red: (216, 42, 46)}


def tracker(delay: int = 0) -> ScriptedTracker:
    """A tracker that knows the clip."""
    return ScriptedTracker(PATHS, delay=delay)


def pixels(t: int) -> np.ndarray:
    """Frame `t`, (H, W, 3) uint8."""
    frame = np.full((SIZE[1], SIZE[0], 3), (96, 130, 80), np.uint8)
    for path, colour in COLOURS.items():
        if box := path(t):
            frame[box[1] : box[3], box[0] : box[2]] = colour
    return frame


class Frames:
    """The clip as a source; frames from `broken` on cannot be read."""

    def __init__(self, broken: int = FRAMES) -> None:
        self.count: int | None = FRAMES
        self.size = SIZE
        self.rate = RATE
        self.broken = broken
        self.read: list[int] = []

    def frame(self, t: int) -> np.ndarray:
        from sam3model.errors import InputError

        self.read.append(t)
        if not 0 <= t < self.broken:
            raise InputError(f"frame {t} is damaged")
        return pixels(t)

    def time(self, t: int) -> float:
        return t / RATE

    def close(self) -> None:
        pass


def clip(broken: int = FRAMES) -> ClipMedia:
    """The clip in memory."""
    return ClipMedia(Frames(broken), "blocks.mp4")


def write_clip(path: Path, numbers: Sequence[int] = range(FRAMES)) -> Path:
    """The clip as an mp4 file."""
    from sam3model.frames import ClipWriter

    with ClipWriter(path, SIZE, RATE) as writer:
        for t in numbers:
            writer.write(pixels(t))
    return path
