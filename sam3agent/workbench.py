"""What tools work on: a medium, an open segmenter session and the candidate pool. Immutable."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from sam3agent.masks import Box
from sam3agent.media import Media
from sam3agent.pool import MaskPool
from sam3agent.segmenter import SegmenterSession
from sam3agent.tracker import ObjectTracker

Report = Callable[[int, int], None]
"""Receives how many of how many frames are done; what it raises ends the work."""


def _ignore(_done: int, _total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, eq=False)
class Workbench:
    """One medium with everything found on it so far.

    threshold: minimum mask score; None for the segmenter's default. searched: phrases and frames that need not be
    searched again. searches_left: how many more phrases may be searched; None for no limit. tracker: follows objects
    through clips; None if there is none. report: receives the progress of long calls.
    """

    media: Media
    session: SegmenterSession
    pool: MaskPool = field(default_factory=MaskPool)
    threshold: float | None = None
    searched: tuple[tuple[str, int], ...] = ()
    searches_left: int | None = None
    tracker: ObjectTracker | None = None
    report: Report = _ignore

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.media.size

    def pixels(self, frame: int, box: Box) -> np.ndarray:
        """Pixels of a frame inside a box, (h, w, 3) uint8. The others are not copied, of which an image has many."""
        return np.asarray(self.media.frame(frame).crop(box))

    def with_pool(self, pool: MaskPool) -> "Workbench":
        """The same workbench with another pool."""
        return replace(self, pool=pool)
