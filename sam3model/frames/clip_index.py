"""Where the frames of a clip are: time stamps and key frames, read from its packets without decoding any of them."""

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
    promised: number of frames according to the header; n if it says nothing.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    counted: bool
    promised: int

    def __len__(self) -> int:
        return len(self.stamps)

    def number(self, stamp: int) -> int:
        """Number of the frame shown at a time stamp."""
        after = int(np.searchsorted(self.stamps, stamp, side="right"))
        return max(0, after - 1)

    def key_before(self, t: int) -> int:
        """Position in `keys` of the last key frame at or before frame `t`."""
        return int(np.searchsorted(self.keys, t, side="right")) - 1


def index_clip(container: "InputContainer", stream: "VideoStream") -> ClipIndex:
    """Read all packets of a stream, from where the container is, normally its start.

    Frames that the file marks as not shown (cut off by an edit list, hidden references of VP8) are left out, and so is
    a last packet that is incomplete.
    """
    av = import_av()
    stamps, keys = array("q"), array("q")
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
            if packet.is_keyframe:
                keys.append(stamps[-1])
    except av.error.FFmpegError:
        pass  # the file breaks here: the frames before it are the clip
    if torn:
        last = stamps.pop()
        if keys and keys[-1] == last:
            keys.pop()
    return _sorted_index(stamps, keys, unstamped > 0, stream.frames - hidden, codec in _WITHOUT_KEY_FRAMES)


def _sorted_index(
    stamps: "array[int]", keys: "array[int]", unstamped: bool, promised: int, only_start: bool
) -> ClipIndex:
    count = len(stamps)
    ordered = np.unique(np.frombuffer(stamps, np.int64)) if count else np.zeros(0, np.int64)
    counted = unstamped or len(ordered) < count
    if counted:
        ordered = np.arange(count)
    numbers = np.zeros(min(count, 1), np.int64)
    if keys and not counted and not only_start:
        numbers = np.union1d(numbers, np.searchsorted(ordered, np.frombuffer(keys, np.int64)))
    return ClipIndex(ordered, numbers, counted, max(promised, count))


def _hidden_vp8(packet: "Packet") -> bool:
    """Whether a VP8 packet only updates a reference: bit 4 of its first byte is "show frame"."""
    return not memoryview(packet)[0] & 0x10
