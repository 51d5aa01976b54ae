"""Frames from clips, folders, lists and iterators, and writing clips. PyAV is imported when a clip is opened."""

from sam3model.frames.clip_file import ClipFile
from sam3model.frames.clip_writer import ClipWriter
from sam3model.frames.frame_folder import FrameFolder
from sam3model.frames.frame_list import FrameList
from sam3model.frames.frame_source import BrokenFrameError, EndOfFramesError, FrameRangeError, FrameSource, read_frames
from sam3model.frames.frame_stream import FrameStream
from sam3model.frames.opening import open_frames
from sam3model.frames.prefetched import PrefetchedSource, prefetched
from sam3model.frames.subset import Subset, every, source_frame, window

__all__ = [
    "BrokenFrameError",
    "ClipFile",
    "ClipWriter",
    "EndOfFramesError",
    "FrameFolder",
    "FrameList",
    "FrameRangeError",
    "FrameSource",
    "FrameStream",
    "PrefetchedSource",
    "Subset",
    "every",
    "open_frames",
    "prefetched",
    "read_frames",
    "source_frame",
    "window",
]
