"""`open_frames`: the right source for whatever a user has."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sam3model.errors import InputError
from sam3model.frames.animation_frames import untimed_frames
from sam3model.frames.clip_file import ClipFile
from sam3model.frames.frame_folder import IMAGE_SUFFIXES, FrameFolder
from sam3model.frames.frame_list import FrameList
from sam3model.frames.frame_source import DEFAULT_RATE, FrameSource
from sam3model.frames.frame_stream import FrameStream


def open_frames(
    source: "FrameSource | str | Path | Sequence[Any] | Iterable[Any] | Any", *, rate: float = DEFAULT_RATE
) -> FrameSource:
    """A source of frames from a clip, folder, list or iterator; a `FrameSource` is returned as it is.

    source: the path of a clip (mp4, mov, webm, mkv, avi, gif), of a folder of images or of one image; a sequence of
        image files, arrays, PIL images or tensors; an array or tensor of frames in its first dimension; one PIL image;
        or an iterator of images.
    rate: frames per second of sources that have no times; clips have their own.

    Raises:
        InputError: the source cannot be read or has no frames.
    """
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, str | Path):
        return _open_path(Path(source), rate)
    dimensions = getattr(source, "ndim", None)
    if dimensions is not None and dimensions != 4:
        raise InputError(
            f"an array or tensor of frames must have 4 dimensions, not {dimensions}: put one image in a list"
        )
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return _open_sequence(source, rate)
    if isinstance(source, Iterable):
        return FrameStream(source, rate=rate)
    if hasattr(source, "convert") and hasattr(source, "size"):  # a PIL image
        return FrameList([source], rate=rate)
    raise InputError(f"cannot read frames from {type(source).__name__}: give a clip, a folder, a list or an iterator")


def _open_sequence(images: Any, rate: float) -> FrameSource:
    if len(images) and isinstance(images[0], str | Path):
        return FrameFolder(images, rate=rate)
    return FrameList(images, rate=rate)


def _open_path(path: Path, rate: float) -> FrameSource:
    with suppress(OSError, ValueError):  # an impossible name, which `ClipFile` explains
        if path.is_dir():
            return FrameFolder(path, rate=rate)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return FrameFolder([path], rate=rate)
    if path.suffix.lower() == ".gif" and len(frames := untimed_frames(path)) > 1:
        return FrameList(frames, rate=rate)  # FFmpeg makes one frame of all that have no time of their own
    return ClipFile(path)
