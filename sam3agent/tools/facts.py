"""Geometry facts: what can be said of masks without a model: place, order, size, colour, overlap. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam3agent.agent.pool import Candidate, Mask
from sam3agent.tools.colours import colour_shares

_MOST_SAMPLES = 6000


@dataclass(frozen=True, slots=True)
class Facts:
    """What is measured of one mask.

    centre: centre of the box in 0..1 of the picture; share: part of the picture covered, 0..1; ranks count from 1 among
    the masks measured together; colours: name -> share of the mask's pixels, largest first.
    """

    id: int
    box: tuple[int, int, int, int]
    centre: tuple[float, float]
    share: float
    from_left: int
    from_top: int
    from_largest: int
    colours: Mapping[str, float]

    @property
    def place(self) -> str:
        """The ninth of the picture that the centre lies in, in words."""
        column = ("left", "centre", "right")[min(2, int(self.centre[0] * 3))]
        row = ("top", "middle", "bottom")[min(2, int(self.centre[1] * 3))]
        return f"{row} {column}"

    def line(self) -> str:
        """One row of the table that a model reads."""
        colours = ", ".join(f"{name} {share:.0%}" for name, share in list(self.colours.items())[:3])
        return (
            f"mask {self.id}: {self.place}, box {list(self.box)}, {self.share:.1%} of the picture, "
            f"{self.from_left} from the left, {self.from_top} from the top, {self.from_largest} in size; {colours}"
        )


def measure(pixels: np.ndarray, candidates: Sequence[Candidate]) -> tuple[Facts, ...]:
    """Facts of every candidate, ranked among each other. pixels: (H, W, 3) uint8."""
    masks = [candidate.mask for candidate in candidates]
    left = _ranks([box_centre(mask)[0] for mask in masks])
    top = _ranks([box_centre(mask)[1] for mask in masks])
    size = _ranks([-mask.area for mask in masks])
    return tuple(
        Facts(
            id=candidate.id,
            box=mask.box,
            centre=(box_centre(mask)[0] / mask.width, box_centre(mask)[1] / mask.height),
            share=mask.area / (mask.width * mask.height),
            from_left=left[i],
            from_top=top[i],
            from_largest=size[i],
            colours=mask_colours(pixels, mask),
        )
        for i, (candidate, mask) in enumerate(zip(candidates, masks, strict=True))
    )


def mask_colours(pixels: np.ndarray, mask: Mask) -> dict[str, float]:
    """Colour name -> share of the mask's pixels, largest first, from at most a few thousand of them."""
    x0, y0, x1, y1 = mask.box
    step = max(1, math.isqrt(max(1, mask.crop.size // _MOST_SAMPLES)))
    region = pixels[y0:y1:step, x0:x1:step][mask.crop[::step, ::step]]
    return colour_shares(region if len(region) else pixels[y0:y1, x0:x1][mask.crop])


def box_centre(mask: Mask) -> tuple[float, float]:
    """Centre of the box (x, y) in pixels: what "leftmost" is about."""
    x0, y0, x1, y1 = mask.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def distance(a: Mask, b: Mask) -> float:
    """Between the centres of two boxes, in pixels."""
    return math.dist(box_centre(a), box_centre(b))


def gap(a: Mask, b: Mask) -> float:
    """Between the nearest sides of two boxes, in pixels; 0 where they overlap."""
    ax0, ay0, ax1, ay1 = a.box
    bx0, by0, bx1, by1 = b.box
    return math.hypot(max(0, bx0 - ax1, ax0 - bx1), max(0, by0 - ay1, ay0 - by1))


def _ranks(values: Sequence[float]) -> list[int]:
    """1 for the smallest; equal values keep their order."""
    ranks = [0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=lambda i: values[i]), start=1):
        ranks[index] = rank
    return ranks
