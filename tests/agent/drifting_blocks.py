"""A clip of grey blocks, each in a row of its own, of which every one does another thing."""

from collections.abc import Callable

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import ClipMedia
from sam3agent.testing import ScriptedSegmenter, ScriptedTracker
from sam3agent.workbench import Workbench

WIDTH, HEIGHT, FRAMES, RATE, SIDE, ROW = 320, 272, 30, 10.0, 16, 24


def _block(row: int, x: Callable[[int], float], y: Callable[[int], float] = lambda t: 0) -> Callable[[int], Box | None]:
    """The box of a block on each frame, cut off at the border."""

    def box(t: int) -> Box | None:
        left, top = round(x(t)), round(4 + row * ROW + y(t))
        x0, x1 = max(0, left), min(WIDTH, left + SIDE)
        return (x0, top, x1, top + SIDE) if x0 < x1 else None

    return box


BLOCKS = [
    _block(0, lambda t: 260 + 8 * t),  # 1 leaves early, to the right
    _block(1, lambda t: 230 + 5 * t),  # 2 leaves late, and is slower
    _block(2, lambda t: 20 + 4 * min(t, 15)),  # 3 stops at frame 15
    _block(3, lambda t: 20 + 4 * max(0, t - 8)),  # 4 starts at frame 8
    _block(4, lambda t: 150),  # 5 stays
    _block(5, lambda t: 60 + 6 * min(t, 29 - t)),  # 6 turns
    _block(10, lambda t: 120, lambda t: -2 * t),  # 7 goes up
    _block(6, lambda t: 10 + 9 * t),  # 8 overtakes 9
    _block(7, lambda t: 60 + 4 * t),  # 9 is overtaken
    _block(8, lambda t: 330 - 9 * t),  # 10 enters at the right, at the start, and goes left
    _block(9, lambda t: -60 + 6 * t),  # 11 enters at the left, near frame 10
]


def tracker() -> ScriptedTracker:
    """A tracker that finds all of them as "block"."""
    return ScriptedTracker({"block": BLOCKS})


def clip() -> ClipMedia:
    """The clip in memory."""
    from sam3model.frames import FrameList

    frames = []
    grass = np.random.default_rng(0).integers(60, 120, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, 2)
    for t in range(FRAMES):
        frame = grass.copy()
        for x0, y0, x1, y1 in filter(None, (block(t) for block in BLOCKS)):
            frame[y0:y1, x0:x1] = 200
        frames.append(frame)
    return ClipMedia(FrameList(frames, rate=RATE), "blocks")


def workbench() -> Workbench:
    """A workbench on the clip."""
    media = clip()
    return Workbench(media, ScriptedSegmenter({}).open(media), tracker=tracker())
