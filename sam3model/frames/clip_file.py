"""A clip in a file, decoded frame by frame when asked for."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import InputError
from sam3model.frames.clip_decoder import ClipDecoder
from sam3model.frames.frame_source import DEFAULT_RATE, BrokenFrameError, check_frame_size
from sam3model.frames.orientation import upright
from sam3model.frames.pyav import import_av
from sam3model.frames.stored_frames import StoredFrames

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_log = logging.getLogger(__name__)

_READ_ON = 8
"""Frames to decode rather than seek when a key frame lies between the last frame and the next."""


class ClipFile(StoredFrames):
    """A `FrameSource` of an mp4, mov, webm, mkv, avi or gif file.

    Frames are upright and have the size of the first one; non-square pixels are left as they are. A frame that cannot
    be decoded is replaced by the one before it, with one warning per clip. Frames after the last that can be decoded
    raise `BrokenFrameError`.

    count: number of frames in the file. replaced: numbers of the frames that were replaced so far.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a clip, find its frames without decoding them, and decode the first.

        Raises:
            InputError: the file is missing, no clip, damaged, has no video stream or no frames, or its frames are too
                large.
            ConfigError: PyAV is not installed.
        """
        self.path = Path(path)
        self._decoder = ClipDecoder(self.path)
        self._index = self._decoder.index
        self._reformatter = import_av().video.reformatter.VideoReformatter()
        self._current: tuple[int, VideoFrame] | None = None
        self._following: tuple[int, VideoFrame] | None = None
        self._key = 0
        self._last_good: int | None = None
        self.replaced = set[int]()
        self._remarks = list[str]()
        try:
            self._coded_size, self._matrix = self._read_geometry()
        except BaseException:
            self._decoder.close()
            raise
        turned = upright(np.empty((self._coded_size[1], self._coded_size[0], 3), np.uint8), self._matrix)
        super().__init__(str(path), len(self._index), (turned.shape[1], turned.shape[0]), self._measure_rate())
        missing = self._decoder.missing_end(self._rate)
        self._cut_off = bool(missing)
        if missing:
            self._remark(f"{self.path} was cut off: {missing}; the frames that are there are used")

    @property
    def damage(self) -> str | None:
        """What is missing: the end of a file that was cut off, and frames that were replaced so far; None if nothing.

        Both are also logged as warnings, once.
        """
        if not self._remarks:
            return None
        more = len(self.replaced) - 1
        return "; ".join(self._remarks) + (f"; {more} more cannot be decoded" if more > 0 else "")

    def frame(self, t: int) -> NDArray[np.uint8]:
        """Frame `t`: (H, W, 3) uint8 RGB, contiguous, read-only.

        Raises:
            FrameRangeError: the clip has no frame `t`.
            BrokenFrameError: the clip breaks off before frame `t`.
            InputError: the clip is closed.
        """
        if t >= self.count and self._cut_off and not self._closed:
            raise self._broken(t, self.count - 1)
        return super().frame(t)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._decoder.close()
        self._current = self._following = None

    def _seconds(self, t: int) -> float:
        """From the time stamps of the file."""
        if self._index.counted:
            return super()._seconds(t)
        return float(self._index.stamps[t] - self._index.stamps[0]) * self._decoder.time_base

    def _read(self, t: int) -> NDArray[np.uint8]:
        if self._last_good is not None and t > self._last_good:
            raise self._broken(t, self._last_good)
        keep_from = t
        if not self._reached_forwards(t):
            if self._current is not None and t < self._current[0]:  # backwards: the frames before are likely next
                keep_from = t - self._cache.capacity + 1
            self._start_at(self._index.key_before(t))
        found = self._advance(t, keep_from)
        while found is None:  # nothing can be decoded between the key frame and t: use the frames before
            if self._key == 0:
                self._last_good = -1
                raise self._broken(t, -1)
            self._start_at(self._key - 1)
            found = self._advance(t, keep_from)
        number, frame = found
        if number != t:
            self._warn_missing(t, number)
        return self._to_rgb(frame)

    def _advance(self, t: int, keep_from: int) -> "tuple[int, VideoFrame] | None":
        """Decode up to frame `t`; the last frame at or before it, or the first of the clip if it comes later.

        Passing frames from `keep_from` on are cached. None if decoding must start at an earlier key frame.
        """
        while self._current is None or self._current[0] < t:
            following = self._following or self._decoder.next_frame()
            self._following = following
            if following is None:
                if self._current is not None:
                    self._last_good = self._current[0]
                    raise self._broken(t, self._last_good)
                return None
            if following[0] > t:
                return self._current or (following if self._key == 0 else None)
            self._following = None
            self._current = following
            if keep_from <= following[0] < t:
                self._cache.put(following[0], self._to_rgb(following[1]))
        return self._current

    def _reached_forwards(self, t: int) -> bool:
        """Whether to go on decoding to reach frame `t`, rather than to seek."""
        if self._current is None or t < self._current[0]:
            return False
        key = int(self._index.keys[self._index.key_before(t)])
        return key <= self._current[0] + _READ_ON

    def _start_at(self, key: int) -> None:
        self._current = self._following = None
        self._key = key
        self._decoder.start_at(key)

    def _warn_missing(self, t: int, shown: int) -> None:
        if not self.replaced:
            self._remark(f"{self.path} is damaged: frame {t} cannot be decoded and frame {shown} is shown instead")
        self.replaced.add(t)

    def _remark(self, text: str) -> None:
        self._remarks.append(text)
        _log.warning(text)

    def _broken(self, t: int, last_good: int) -> BrokenFrameError:
        kept = f"its last good frame is {last_good}" if last_good >= 0 else "none of its frames can be decoded"
        return BrokenFrameError(f"{self.path} breaks off before frame {t}: {kept}", last_good)

    def _to_rgb(self, frame: "VideoFrame") -> NDArray[np.uint8]:
        width, height = self._coded_size
        converted = self._reformatter.reformat(frame, width=width, height=height, format="rgb24")
        return upright(converted.to_ndarray(), self._matrix)

    def _read_geometry(self) -> tuple[tuple[int, int], bytes | None]:
        """Coded width and height and the display matrix, from the first frame that can be decoded."""
        first = self._decoder.next_frame()
        if first is None:
            raise InputError(f"{self.path} is damaged: none of its frames can be decoded")
        self._current = first if first[0] == 0 else None
        self._following = None if first[0] == 0 else first
        size = (first[1].width, first[1].height)
        check_frame_size(size, str(self.path))
        data = first[1].side_data.get("DISPLAYMATRIX")
        return size, None if data is None else bytes(data)

    def _measure_rate(self) -> float:
        """The rate of the header, unless the time stamps say something else."""
        stated = self._decoder.stated_rate
        last = len(self._index) - 1
        if self._index.counted or last < 1:
            return stated or DEFAULT_RATE
        measured = last / max(self._seconds(last), 1e-9)
        return stated if stated and abs(stated - measured) < 0.01 * measured else measured
