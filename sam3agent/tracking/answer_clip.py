"""An answer about a clip, to look at: the clip with the chosen objects drawn on it, and a strip of its frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sam3agent.tracking.clip_overlay import write_overlay, write_strip
from sam3agent.tracking.tracked_frames import FrameTracks, TrackedObject
from sam3model.errors import OutputError

if TYPE_CHECKING:
    from sam3agent.masks import Masklet
    from sam3agent.media import ClipMedia

CLIP_NAME, STRIP_NAME = "overlay.mp4", "strip.png"


def frame_tracks(clip: "ClipMedia", masklets: "Sequence[tuple[int, str, Masklet]]") -> list[FrameTracks]:
    """Every frame of a clip with the objects on it. masklets: id, phrase and masklet of each object."""
    return [
        FrameTracks(
            frame,
            clip.time(frame),
            tuple(
                TrackedObject(number, phrase, 1.0, 1.0, rle)
                for number, phrase, masklet in masklets
                if (rle := masklet.rle(frame))
            ),
        )
        for frame in range(clip.count)
    ]


def write_answer_clip(
    folder: Path, clip: "ClipMedia", masklets: "Sequence[tuple[int, str, Masklet]]"
) -> tuple[Path, Path]:
    """Write overlay.mp4, all frames, and strip.png, a few frames on which the objects are. Raises `OutputError`."""
    frames = frame_tracks(clip, masklets)
    write_overlay(folder / CLIP_NAME, clip, frames, clip.frames.rate, lambda: None)
    seen = [tracked for tracked in frames if tracked.objects]
    if not seen:
        raise OutputError(f"{folder / STRIP_NAME}: no frame shows an object")
    write_strip(folder / STRIP_NAME, clip, seen)
    return folder / CLIP_NAME, folder / STRIP_NAME
