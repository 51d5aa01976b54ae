"""What a mask shows: the object that it overlaps most, whole or only a part of it."""

from dataclasses import dataclass

import numpy as np

from sam3agent.masks import Box, Mask
from sam3model.playground import Scene

WHOLE_IOU = 0.6
"""A mask that overlaps its object less is a part of it."""


@dataclass(frozen=True)
class Cover:
    """An object by its id (-1 for none), whether it is shown whole, and the mask's box and number of pixels."""

    id: int
    whole: bool
    box: Box
    area: int


def cover_of(shown: Scene, mask: Mask) -> Cover:
    """The object that a mask overlaps most."""
    best, most = -1, 0.0
    x0, y0, x1, y1 = mask.box
    for thing in shown.objects:
        both = int(np.count_nonzero(thing.mask[y0:y1, x0:x1] & mask.crop))
        if both and (value := both / (mask.area + thing.area - both)) > most:
            best, most = thing.id, value
    return Cover(best, most >= WHOLE_IOU, mask.box, mask.area)
