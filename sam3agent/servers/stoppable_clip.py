"""A clip whose frames can no longer be read once its job is cancelled, so that any work on it ends at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam3agent.media import ClipMedia, Media, SharedFrames

if TYPE_CHECKING:
    from sam3model.frames import FrameSource


class StoppableClip(ClipMedia):
    """The frames of another clip. `check` is called before each is read; what it raises ends the work."""

    def __init__(self, clip: ClipMedia, check: Callable[[], None]) -> None:
        self.count = clip.count
        self.name = clip.name
        self.frames = _CheckedFrames(clip.frames, check)


class _CheckedFrames(SharedFrames):
    """Frames that are checked before they are read; the source has a lock of its own."""

    def __init__(self, source: "FrameSource", check: Callable[[], None]) -> None:
        super().__init__(source)
        self._check = check

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`. Raises what the check raises."""
        self._check()
        return super().frame(t)


def stoppable(media: Media, check: Callable[[], None]) -> Media:
    """A clip that can be stopped; an image as it is."""
    return StoppableClip(media, check) if isinstance(media, ClipMedia) else media
