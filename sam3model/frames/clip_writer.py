"""Writing clips as mp4."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam3model.errors import InputError, OutputError, reason_of
from sam3model.files import replacing
from sam3model.frames.frame_source import check_rate
from sam3model.frames.pyav import import_av

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_TICKS = 60_000
"""Units of a time stamp per second: a multiple of the usual rates, and below the 65,536 that MPEG-4 allows."""

_QUALITY = {"libx264": {"preset": "veryfast", "crf": "20"}, "mpeg4": {"flags": "+qscale", "global_quality": "354"}}


class ClipWriter:
    """Writes RGB frames to an mp4 file that browsers play: H.264 where PyAV has it, else MPEG-4 part 2.

    The file appears under its name when it is complete: at `close`, or at the end of a `with` block. If the block
    raises an exception, nothing is written and an older file stays.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], rate: float) -> None:
        """size: width and height of the frames in pixels; odd ones are padded by a pixel. rate: frames per second.

        Raises:
            InputError: an invalid size or rate.
            OutputError: the file cannot be written.
            ConfigError: PyAV is not installed.
        """
        self.path = Path(path)
        self._size = (int(size[0]), int(size[1]))
        if min(self._size) < 1:
            raise InputError(f"a clip needs frames of at least 1x1 pixel, not {size[0]}x{size[1]}")
        self._rate = check_rate(rate)
        self._written = 0
        self._stamp = -1
        self._origin = 0.0
        self._open()

    @property
    def count(self) -> int:
        """Number of frames written."""
        return self._written

    @property
    def codec(self) -> str:
        """Name of the encoder: "libx264" or "mpeg4"."""
        return self._codec

    def write(self, frame: ArrayLike, time: float | None = None) -> None:
        """Append a frame.

        frame: (H, W, 3) uint8 RGB array or an RGB PIL image, of the size of the clip.
        time: seconds on any clock, greater than that of the frame before; the first frame is at 0 in the file. Without
            times, frames follow one another at the rate.

        Raises:
            InputError: the frame has another shape or type, or the time does not increase.
            OutputError: the file cannot be written.
        """
        if self._container is None:
            raise OutputError(f"{self.path} is closed: no frame can be added")
        image = self._check(np.asarray(frame))
        stamp = self._next_stamp(time)
        av = import_av()
        wrapped = av.VideoFrame.from_numpy_buffer(image, format="rgb24")  # not copied
        converted = self._reformatter.reformat(
            wrapped, format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        converted.pts, converted.time_base = stamp, Fraction(1, _TICKS)
        self._encode(converted)
        self._stamp = stamp
        self._written += 1

    def close(self) -> None:
        """Finish the file and put it in its place; closing twice is harmless.

        Raises:
            OutputError: the file cannot be written, or no frame was.
        """
        if self._container is None:
            return
        if not self._written:
            self.abandon()
            raise OutputError(f"no frame was written, so there is no clip {self.path}")
        self._encode(None)
        av = import_av()
        container, self._container = self._container, None
        try:
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            self._drop_file()
            raise OutputError(f"cannot write {self.path}: {reason_of(error)}") from error
        self._file.__exit__(None, None, None)

    def abandon(self) -> None:
        """Stop writing and leave no file; an older one stays."""
        container, self._container = self._container, None
        if container is not None:
            with suppress(Exception):  # the muxer may complain about a clip without frames
                container.close()
            self._drop_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _open(self) -> None:
        av = import_av()
        self._codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._file = replacing(self.path)
        self._container: OutputContainer | None = None
        temporary = self._file.__enter__()
        try:
            container = av.open(f"file:{temporary}", "w", format="mp4", container_options={"movflags": "+faststart"})
            self._container = container
            self._stream = self._add_stream(container)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abandon()
            self._drop_file()
            raise OutputError(f"cannot write {self.path}: {reason_of(error)}") from error

    def _add_stream(self, container: "OutputContainer") -> "VideoStream":
        rate = Fraction(self._rate).limit_denominator(1001)
        stream: Any = container.add_stream(self._codec, rate=rate, options=_QUALITY[self._codec])
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.thread_type = "AUTO"
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709, which players assume for HD
        context.color_range = 1
        return stream

    def _check(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        width, height = self._size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise InputError(
                f"a frame of this clip must be ({height}, {width}, 3) uint8, not {image.shape} {image.dtype}"
            )
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return np.ascontiguousarray(image)

    def _next_stamp(self, time: float | None) -> int:
        if time is None:
            return max(round(self._written * _TICKS / self._rate), self._stamp + 1)
        if not self._written:
            self._origin = time
        stamp = round((time - self._origin) * _TICKS)
        if stamp <= self._stamp:
            raise InputError(f"the times of frames must increase: frame {self._written} has {time} s")
        return stamp

    def _encode(self, frame: "VideoFrame | None") -> None:
        """Encode a frame, or what is still held back for None."""
        av = import_av()
        try:
            packets = self._stream.encode(frame)
            if self._container is not None:
                self._container.mux(packets)
        except (av.error.FFmpegError, OSError) as error:
            self.abandon()
            raise OutputError(f"cannot write {self.path}: {reason_of(error)}") from error

    def _drop_file(self) -> None:
        """End `replacing` so that it deletes the temporary file."""
        with suppress(_AbandonedError):
            self._file.__exit__(_AbandonedError, _AbandonedError(), None)


class _AbandonedError(Exception):
    """Ends the temporary file of a clip that is not finished."""
