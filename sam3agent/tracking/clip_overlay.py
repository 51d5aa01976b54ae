"""The clip with its tracked objects drawn on it, and a strip of a few of its frames."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sam3agent.media import ClipMedia
from sam3agent.render import LabelPlaces, Mark, fit, fitted_size, overlay
from sam3agent.render.strip import TILE_SIDE, strip
from sam3agent.tracking.tracked_frames import FrameTracks
from sam3model.errors import InputError
from sam3model.files import replacing

if TYPE_CHECKING:
    from PIL import Image

OVERLAY_SIDE = 1920
"""Maximum side of an overlay clip in pixels."""

STRIP_FRAMES = 6


def drawn(
    clip: ClipMedia, tracked: FrameTracks, side: int = OVERLAY_SIDE, places: LabelPlaces | None = None
) -> "Image.Image":
    """A frame with its objects tinted, outlined and numbered, at most `side` pixels on the longest side.

    places: where labels were on the frame before; updated.
    """
    marks = tuple(Mark(one.id, mask) for one in tracked.objects if (mask := one.mask))
    return overlay(*fit(clip.frame(tracked.frame), marks, side), places=places)


def write_overlay(
    path: Path, clip: ClipMedia, frames: Sequence[FrameTracks], rate: float, step: Callable[[], object]
) -> None:
    """Write the overlay of all frames as a clip, at the times of the frames; `step` is called after each one.

    rate: average frames per second. Raises `OutputError` if the file cannot be written.
    """
    from sam3model.frames import ClipWriter

    with ClipWriter(path, fitted_size(clip.size, OVERLAY_SIDE), rate) as writer:
        for tracked, image in _pairs(clip, frames):
            writer.write(np.asarray(image), tracked.time)
            step()


def write_strip(path: Path, clip: ClipMedia, frames: Sequence[FrameTracks]) -> None:
    """Write a PNG with a few frames from first to last. Raises `OutputError`."""
    last = len(frames) - 1
    count = min(STRIP_FRAMES, len(frames))
    chosen = [frames[round(i * last / max(1, count - 1))] for i in range(count)]
    images = [drawn(clip, tracked, TILE_SIDE) for tracked in chosen]
    captions = [f"frame {tracked.frame}   {tracked.time:.2f} s" for tracked in chosen]
    with replacing(path) as temporary:
        strip(images, captions).save(temporary, "PNG")


def _pairs(clip: ClipMedia, frames: Sequence[FrameTracks]) -> "Iterator[tuple[FrameTracks, Image.Image]]":
    """Frames with their overlays; a frame that can no longer be read ends them."""
    places = LabelPlaces()
    for tracked in frames:
        try:
            image = drawn(clip, tracked, places=places)
        except InputError:
            return
        yield tracked, image
