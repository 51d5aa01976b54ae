"""A clip of grey blocks, each in a row of its own, that hide behind a post, come back, grow or shrink."""

from collections.abc import Callable

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import ClipMedia
from sam3agent.testing import ScriptedSegmenter, ScriptedTracker
from sam3agent.workbench import Workbench

WIDTH, HEIGHT, FRAMES, RATE, SIDE, ROW = 320, 480, 40, 10.0, 24, 40
POST = (150, 190)
"""Left and right edge of a post in front of all blocks."""
Path = Callable[[int], Box | None]


def _block(row: int, x: Callable[[int], float], side: Callable[[int], float] = lambda t: SIDE) -> Path:
    """The visible box of a block on each frame: cut off at the border, and where the post covers it."""

    def box(t: int) -> Box | None:
        left, tall, top = round(x(t)), round(side(t)), 4 + row * ROW
        x0, x1 = max(0, left), min(WIDTH, left + tall)
        if x0 < POST[0] < x1:
            x1 = POST[0]  # of a block that is wider than what the post covers, the left part is shown
        elif POST[0] <= x0 < POST[1]:
            x0 = POST[1]
        return (x0, top, x1, top + tall) if x0 < x1 else None

    return box


def _to_and_fro(t: int) -> float:
    """Out of the picture at the right, and back in from there."""
    return 240 + 8 * min(t, 36 - t)


BLOCKS = [
    _block(0, lambda t: 20 + 6 * t),  # 1 goes behind the post and comes out
    _block(1, lambda t: 100 + 2 * t),  # 2 does so, later, and is still there at the end
    _block(2, lambda t: min(160, 40 + 6 * t)),  # 3 goes behind the post and stays there
    _block(3, _to_and_fro),  # 4 leaves at the right and comes back
    _block(4, lambda t: 260 + 6 * t if t < 20 else -64 + 4 * (t - 20)),  # 5 leaves there and comes back at the left
    _block(5, lambda t: 200 + 6 * t),  # 6 leaves for good
    _block(6, lambda t: 30, lambda t: 12 + t / 2),  # 7 grows
    _block(7, lambda t: 30, lambda t: 34 - t / 2),  # 8 shrinks
    _block(8, lambda t: 30, lambda t: 12 + min(t, 39 - t)),  # 9 grows and shrinks again
    _block(9, lambda t: 30),  # 10 stays as it is
    _block(10, lambda t: -60 + 4 * t),  # 11 enters at the left, and is seen more and more of
]


def tracker() -> ScriptedTracker:
    """A tracker that finds all of them as "block"."""
    return ScriptedTracker({"block": BLOCKS})


def workbench() -> Workbench:
    """A workbench on the clip."""
    from sam3model.frames import FrameList

    grass = np.random.default_rng(0).integers(60, 120, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, 2)
    frames = []
    for t in range(FRAMES):
        frame = grass.copy()
        frame[:, POST[0] : POST[1]] = 20
        for x0, y0, x1, y1 in filter(None, (block(t) for block in BLOCKS)):
            frame[y0:y1, x0:x1] = 200
        frames.append(frame)
    media = ClipMedia(FrameList(frames, rate=RATE), "blocks")
    return Workbench(media, ScriptedSegmenter({}).open(media), tracker=tracker())
