"""Counts what is unusable in a data set of clips: clips, annotations of objects, frames and masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam3model.data.clip_annotations import ClipDataset, ClipRecord
from sam3model.data.clip_frames import MISSING_FRAME
from sam3model.data.dataset_layout import image_path
from sam3model.data.faults import Faults
from sam3model.data.segmentations import Rle, read_rle
from sam3model.errors import DataError

TOO_FEW = "fewer than 2 frames are there"


class ClipFaults:
    """Faults found while a data set is read, and the numbers that they are compared with."""

    def __init__(self) -> None:
        self.clips, self.objects, self.frames, self.masks = Faults(), Faults(), Faults(), Faults()
        self.object_count = self.frame_count = self.mask_count = 0

    def located(self, clip: str, names: Sequence[Any], folders: Sequence[Path]) -> list[Path | None]:
        """The files of the frames, from the first folder that has them; None for a missing one.

        Raises:
            DataError: a short reason; fewer than 2 frames are there.
        """
        if not all(isinstance(name, str) for name in names):
            raise DataError("the names of the frames are not all strings")
        files = [image_path(name, folders) for name in names]
        if len(files) - files.count(None) < 2:
            raise DataError(TOO_FEW)
        self.frame_count += len(files)
        for t, file in enumerate(files):
            if file is None:
                self.frames.note(MISSING_FRAME, f"{clip}/{t}")
        return files

    def mask(self, value: Any, size: tuple[int, int], where: str) -> Rle | None:
        """A validated RLE mask of a clip of `size` (width, height); None after a fault."""
        self.mask_count += 1
        try:
            if not isinstance(value, dict):
                raise DataError("the mask is not RLE")
            return read_rle(value, size)
        except DataError as error:
            return self.masks.note(str(error), where)

    def checked(self, name: str, clips: Sequence[ClipRecord], total: int, broken: float) -> ClipDataset:
        """The data set. total: number of clips in the file.

        Raises:
            DataError: no clip is usable, or more than the fraction `broken` of the clips, objects, frames or masks is
                not.
        """
        self.clips.refuse_beyond(broken, total, f"clips of {name}")
        self.objects.refuse_beyond(broken, self.object_count, f"annotations of {name}")
        self.frames.refuse_beyond(broken, self.frame_count, f"frames of {name}")
        self.masks.refuse_beyond(broken, self.mask_count, f"masks of {name}")
        if not clips:
            raise DataError(f"{name} has no clip with a mask to train on")
        self.clips.found |= self.objects.found | self.frames.found | self.masks.found
        return ClipDataset(name, clips, self.clips)
