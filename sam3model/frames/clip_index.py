"""Where the frames of a clip are: time stamps and key frames, read from its packets without decoding any of them."""

import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam3model.frames.pyav import import_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_WITHOUT_KEY_FRAMES = ("gif", "apng")
"""Codecs that draw every frame over the one before, whatever the packets' flags say."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipIndex:
    """The frames of a clip in the order in which they are shown.

    stamps: (n,) int64, presentation time stamps in units of the stream's time base, ascending.
    keys: (k,) int64, numbers of the frames at which decoding can start, ascending; the first is 0.
    counted: the file has no usable time stamps, so `stamps` is 0, 1, 2, … and frames are numbered as they are decoded.
    end: time stamp at which the last frame ends, as far as the file says.
    hidden: number of frames that are in the file and not shown.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    counted: bool
    end: int
    hidden: int

    def __len__(self) -> int:
        return len(self.stamps)

    def number(self, stamp: int) -> int:
        """Number of the frame shown at a time stamp; n for a stamp after the last."""
        if stamp > self.stamps[-1]:
            return len(self)
        return max(0, int(np.searchsorted(self.stamps, stamp, side="right")) - 1)

    def key_before(self, t: int) -> int:
        """Position in `keys` of the last key frame at or before frame `t`; 0 for a negative `t`."""
        return max(0, int(np.searchsorted(self.keys, t, side="right")) - 1)


def index_clip(container: "InputContainer", stream: "VideoStream") -> ClipIndex:
    """Read all packets of a stream, from where the container is, normally its start.

    Frames that the file marks as not shown (cut off by an edit list, hidden references of VP8) are left out, and so is
    a last packet that is incomplete.
    """
    av = import_av()
    stamps, keys, ends = array("q"), array("q"), array("q")
    unstamped = hidden = 0
    torn = False
    codec = stream.codec_context.name
    try:
        for packet in container.demux(stream):
            if not packet.size:  # the mark of the end
                continue
            if packet.is_discard or (codec.startswith(("vp8", "libvpx")) and _hidden_vp8(packet)):
                hidden += 1
                continue
            torn = packet.is_corrupt
            unstamped += packet.pts is None
            stamps.append(len(stamps) if packet.pts is None else packet.pts)
            ends.append(stamps[-1] + (packet.duration or 0))
            if packet.is_keyframe:
                keys.append(stamps[-1])
    except av.error.FFmpegError:
        pass  # the file breaks here: the frames before it are the clip
    if torn:
        ends.pop()
        last = stamps.pop()
        if keys and keys[-1] == last:
            keys.pop()
    ordered = np.unique(np.array(stamps, np.int64))
    counted = unstamped > 0 or len(ordered) < len(stamps)
    numbers = np.zeros(min(len(stamps), 1), np.int64)
    if not counted and codec not in _WITHOUT_KEY_FRAMES:
        numbers = np.union1d(numbers, np.searchsorted(ordered, np.array(keys, np.int64)))
    if counted:
        ordered = np.arange(len(stamps))
    return ClipIndex(ordered, numbers, counted, max(ends, default=0), hidden)


def missing_end(index: ClipIndex, stream: "VideoStream", container: "InputContainer", rate: float) -> str | None:
    """What the header promises and the file does not have, in a few words; None if it is complete or unknown.

    rate: average frames per second.
    """
    if index.counted or stream.time_base is None:
        return None
    unit = float(stream.time_base)
    if "matroska" in container.format.name:
        longest = float(np.diff(index.stamps, append=index.end).max()) * unit
        stated, tolerance = _matroska_seconds(stream, container), max(0.5, 2 * longest)
    elif "mp4" in container.format.name:  # edit lists make the number of frames in the header useless
        stated, tolerance = (stream.duration or 0) * unit, 0.5 / rate
    else:
        promised = stream.frames - index.hidden
        return f"it has {len(index)} of {promised} frames" if promised > len(index) else None
    end = index.end * unit
    return f"it ends after {end:.2f} of {stated:.2f} s" if stated and end < stated - tolerance else None


def _matroska_seconds(stream: "VideoStream", container: "InputContainer") -> float:
    """Duration of the video in seconds according to the header, 0 if it does not say."""
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = (float(part) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds
    alone = len(container.streams) == 1  # the duration of the file may be that of its sound
    return container.duration / 1e6 if alone and container.duration else 0.0


def _hidden_vp8(packet: "Packet") -> bool:
    """Whether a VP8 packet only updates a reference: bit 4 of its first byte is "show frame"."""
    return not memoryview(packet)[0] & 0x10
