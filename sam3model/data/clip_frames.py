"""The frames of annotated clips, from image files or a video file, with errors that a data set can count."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sam3model.data.image_files import OTHER_SIZE, read_image
from sam3model.errors import DataError, InputError
from sam3model.frames import ClipFile

MISSING_FRAME = "frame is missing"
BROKEN_VIDEO = "video file is unreadable"
CUT_OFF = "frame is damaged or cut off"


class FrameFiles:
    """Frames in image files; None stands for one that is missing. size: width and height of the annotations."""

    def __init__(self, files: Sequence[Path | None], size: tuple[int, int]) -> None:
        self.files, self.size = files, size

    @property
    def count(self) -> int:
        """Number of frames, missing ones included."""
        return len(self.files)

    def read(self, t: int) -> Tensor:
        """Frame `t` (3, H, W) uint8. Raises `DataError`: it is missing, unreadable or of another size."""
        path = self.files[t] if t < len(self.files) else None
        if path is None or not path.is_file():
            raise DataError(MISSING_FRAME)
        return read_image(path, self.size)

    def close(self) -> None:
        """Nothing stays open."""


class VideoFrames:
    """Frames of a video file, which stays open until `close`.

    Raises:
        DataError: the file is missing or no frame of it can be decoded.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self.size = size
        try:
            self._clip = ClipFile(path)
        except InputError:
            raise DataError(BROKEN_VIDEO if path.is_file() else "video file is missing") from None

    @property
    def count(self) -> int:
        """Number of frames in the file."""
        return self._clip.count

    def read(self, t: int) -> Tensor:
        """Frame `t` (3, H, W) uint8. Raises `DataError`: it is damaged, cut off or of another size."""
        try:
            frame = self._clip.frame(t)
        except InputError:
            raise DataError(CUT_OFF) from None
        if (frame.shape[1], frame.shape[0]) != self.size:
            raise DataError(OTHER_SIZE)
        return torch.from_numpy(np.array(frame)).permute(2, 0, 1)

    def close(self) -> None:
        """Close the file."""
        self._clip.close()
