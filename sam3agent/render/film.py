"""A clip in one image: some of its frames, with masklets outlined and numbered."""

from collections.abc import Sequence

from PIL import Image

from sam3agent.masks import Masklet
from sam3agent.media import Media
from sam3agent.render.marks import FAINT, Mark, overlay
from sam3agent.render.strip import TILE_SIDE, strip
from sam3agent.render.zoom import fit

FRAMES = 6
"""Number of frames, unless some masklet is on none of them."""
MOST_FRAMES = 9


def telling_frames(masklets: Sequence[Masklet]) -> list[int]:
    """Frames that tell what masklets do: from the first to the last on which one is seen, in even steps, and one for
    each masklet that is on none of these, up to `MOST_FRAMES`.

    Returns the frames in ascending order; frame 0 without masklets.
    """
    seen = sorted({frame for masklet in masklets for frame in masklet.areas})
    if not seen:
        return [0]
    count = min(FRAMES, len(seen))
    chosen = {seen[round(i * (len(seen) - 1) / max(1, count - 1))] for i in range(count)}
    for masklet in masklets:
        if len(chosen) < MOST_FRAMES and not chosen & set(masklet.areas):
            chosen.add(masklet.key_frame)
    return sorted(chosen)


def film(media: Media, masklets: Sequence[tuple[int, Masklet]]) -> Image.Image:
    """The telling frames in rows of three, each with its number and time. masklets: with their ids."""
    frames = telling_frames([masklet for _, masklet in masklets])
    images = [_drawn(media, frame, masklets) for frame in frames]
    return strip(images, [f"frame {frame}   {media.time(frame):.2f} s" for frame in frames])


def _drawn(media: Media, frame: int, masklets: Sequence[tuple[int, Masklet]]) -> Image.Image:
    marks = tuple(Mark(number, masklet.masks[frame]) for number, masklet in masklets if frame in masklet.masks)
    return overlay(*fit(media.frame(frame), marks, TILE_SIDE), fill=FAINT)
