"""Facts that can be computed of masks without a model: position, order, size, colours, distances. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sam3agent.constraints import box_centre, distance, gap
from sam3agent.masks import Box, on_frame
from sam3agent.pool import Candidate
from sam3agent.tools.colour_names import colour_ratios
from sam3agent.workbench import Workbench

__all__ = ["MaskFacts", "box_centre", "distance", "gap", "mask_colours", "measure"]

_MAX_SAMPLES = 6000


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """Facts of one mask.

    centre: centre of the box, 0..1 of the image. area_ratio: fraction of the image covered, 0..1. from_left, from_top,
    from_largest: ranks from 1 among the masks measured together. colours: name -> fraction of the mask, largest first.
    frame: of a clip, the frame on which it was measured.
    """

    id: int
    box: Box
    centre: tuple[float, float]
    area_ratio: float
    from_left: int
    from_top: int
    from_largest: int
    colours: Mapping[str, float]
    frame: int | None = None

    @property
    def place(self) -> str:
        """The cell of a 3 x 3 grid that holds the centre, in words."""
        column = ("left", "centre", "right")[min(2, int(self.centre[0] * 3))]
        row = ("top", "middle", "bottom")[min(2, int(self.centre[1] * 3))]
        return f"{row} {column}"

    def line(self) -> str:
        """One row of the table that a model reads."""
        colours = ", ".join(f"{name} {ratio:.0%}" for name, ratio in list(self.colours.items())[:3])
        box = f"box {list(self.box)}{on_frame(self.frame)}"
        return (
            f"mask {self.id}: {self.place}, {box}, {self.area_ratio:.1%} of the image, "
            f"{self.from_left} from the left, {self.from_top} from the top, {self.from_largest} in size; {colours}"
        )


def measure(bench: Workbench, candidates: Sequence[Candidate]) -> tuple[MaskFacts, ...]:
    """Facts of every candidate on its key frame, ranked among each other."""
    masks = [candidate.mask for candidate in candidates]
    left = _ranks([box_centre(mask)[0] for mask in masks])
    top = _ranks([box_centre(mask)[1] for mask in masks])
    size = _ranks([-mask.area for mask in masks])
    return tuple(
        MaskFacts(
            id=candidate.id,
            box=mask.box,
            centre=(box_centre(mask)[0] / mask.width, box_centre(mask)[1] / mask.height),
            area_ratio=mask.area / (mask.width * mask.height),
            from_left=left[i],
            from_top=top[i],
            from_largest=size[i],
            colours=mask_colours(bench, candidate),
            frame=candidate.frame if bench.media.count > 1 else None,
        )
        for i, (candidate, mask) in enumerate(zip(candidates, masks, strict=True))
    )


def mask_colours(bench: Workbench, candidate: Candidate, samples: int = _MAX_SAMPLES) -> dict[str, float]:
    """Colour name -> fraction of the mask on its key frame, largest first, from about `samples` pixels at most."""
    mask, pixels = candidate.mask, bench.pixels(candidate.frame, candidate.mask.box)
    step = max(1, math.isqrt(max(1, mask.crop.size // samples)))
    region = pixels[::step, ::step][mask.crop[::step, ::step]]
    return colour_ratios(region if len(region) else pixels[mask.crop])


def _ranks(values: Sequence[float]) -> list[int]:
    """Ranks from 1 for the smallest; equal values keep their order."""
    ranks = [0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=lambda i: values[i]), start=1):
        ranks[index] = rank
    return ranks
