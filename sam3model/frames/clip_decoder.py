"""Decoding a clip forwards from any key frame, with the numbers of the frames."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sam3model.errors import InputError, reason_of
from sam3model.files import open_regular
from sam3model.frames.clip_index import ClipIndex, index_clip, missing_end
from sam3model.frames.frame_source import check_frame_size
from sam3model.frames.pyav import import_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "gif", "apng", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf",
    "ivf", "h264", "hevc", "mp3", "wav", "flac", "aac",
)  # fmt: skip
"""Formats that FFmpeg may open: no playlists, which name other files, and no patterns of image files. The audio formats
are there to be refused with a better message."""


class ClipDecoder:
    """An open clip. `next_frame` reads forwards, `start_at` goes to a key frame."""

    def __init__(self, path: Path) -> None:
        """Open a clip and index its frames.

        Raises:
            InputError: the file is missing, no clip, damaged, has no video stream or no frames, or its frames are too
                large.
        """
        self._path = path
        self._container: InputContainer | None = None
        self._stream: VideoStream
        self._packets: Iterator[Packet]
        self._decoded: deque[VideoFrame] = deque()
        self._expected = 0
        self._key = 0
        self._careful = False
        try:
            self._open()
            self.index = self._read_index()
        except BaseException:
            self.close()
            raise

    @property
    def stated_rate(self) -> float | None:
        """Frames per second according to the header."""
        rate = self._stream.average_rate or self._stream.base_rate
        return float(rate) if rate else None

    def missing_end(self, rate: float) -> str | None:
        """What the header promises and the file does not have, in a few words. rate: average frames per second."""
        return None if self._container is None else missing_end(self.index, self._stream, self._container, rate)

    @property
    def time_base(self) -> float:
        """Seconds per unit of a time stamp."""
        return float(self._stream.time_base or 0)

    def close(self) -> None:
        """Close the file."""
        self._decoded.clear()
        self._packets = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def start_at(self, key: int) -> None:
        """Continue at the key frame at position `key` of `index.keys`, or somewhat before it."""
        self._key = key
        if key == 0 or self._container is None:
            self.close()
            self._open()
        if key > 0:
            self._seek(int(self.index.stamps[self.index.keys[key]]))

    def next_frame(self) -> "tuple[int, VideoFrame] | None":
        """The next frame that can be decoded, with its number; None at the end of what can be read.

        Numbers increase. They are not consecutive where frames cannot be decoded.
        """
        while True:
            while not self._decoded:
                if not self._decode_packet():
                    if not self._careful and self._expected < len(self.index):
                        self._restart_carefully()
                        continue
                    return None
            frame = self._decoded.popleft()
            number = self._expected
            if not self.index.counted and frame.pts is not None:
                number = self.index.number(frame.pts)
            if not self._careful and self._skips(number):
                self._restart_carefully()
            elif self._expected <= number < len(self.index):
                self._expected = number + 1
                return number, frame

    def _skips(self, number: int) -> bool:
        """Whether frames are missing before a frame. After a seek the first may have any number."""
        return number > self._expected and (self._expected > 0 or self._key == 0)

    def _decode_packet(self) -> bool:
        """Decode one packet; False at the end of the file. Packets that cannot be decoded are skipped."""
        av = import_av()
        try:
            packet = next(self._packets, None)
        except av.error.FFmpegError:
            packet = None
        if packet is None:
            return False
        try:
            self._decoded.extend(packet.decode())
        except av.error.FFmpegError:
            if not self._careful:
                self._restart_carefully()
        return True

    def _restart_carefully(self) -> None:
        """Decode again from the last key frame, without threads that decode several frames at once.

        With those, an error is reported late or not at all, and takes the frames beside it along.
        """
        self._careful = True
        expected = self._expected
        self.close()
        self.start_at(max(self._key, self.index.key_before(expected - 1)))
        self._expected = expected

    def _seek(self, stamp: int) -> None:
        av = import_av()
        if self._container is None:
            return
        try:
            self._container.seek(stamp, stream=self._stream)
            self._read_from_here()
        except av.error.FFmpegError:  # a format without seeking is read from the start
            self.close()
            self._open()

    def _open(self) -> None:
        _check_file(self._path)
        av = import_av()
        options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
        try:
            container = av.open(_address(self._path), options=options, metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise InputError(_opening_problem(self._path, error)) from error
        self._container = container
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            audio = "only audio" if container.streams.audio else "nothing to show"
            raise InputError(f"{self._path} has no video stream, {audio}: give a clip with frames")
        self._stream = streams[0]
        if self._stream.codec_context is None:
            raise InputError(f"{self._path} uses a codec that this build of PyAV cannot decode: convert it to H.264")
        check_frame_size((self._stream.codec_context.width, self._stream.codec_context.height), str(self._path))
        self._stream.thread_type = "SLICE" if self._careful else "AUTO"
        self._read_from_here()

    def _read_from_here(self) -> None:
        if self._container is not None:
            self._decoded.clear()
            self._packets = self._container.demux(self._stream)
            self._expected = 0

    def _read_index(self) -> ClipIndex:
        if self._container is None:
            raise InputError(f"{self._path} is closed")
        index = index_clip(self._container, self._stream)
        if not len(index):
            raise InputError(f"{self._path} contains no frames: it is empty or was cut off at its start")
        self.close()
        self._open()
        return index


def _address(path: Path) -> str:
    """The path as FFmpeg wants it, so that no part of a name is taken for a protocol or a pattern."""
    return f"file:{path}"


def _check_file(path: Path) -> None:
    """Raises `InputError` if the file cannot be opened, is empty, or is not a regular file."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the name of the clip {str(path)!r} is not valid text: rename the file") from error
    with open_regular(path) as file:
        if not file.read(1):
            raise InputError(f"{path} is empty")


def _opening_problem(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return f"{path} is incomplete or damaged: its index is missing, so copy or record it again"
    reason = reason_of(error)
    return f"{path} is not a clip in a supported format (mp4, mov, webm, mkv, avi, gif), or is damaged: {reason}"
