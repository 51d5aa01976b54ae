"""In which form the boxes of a file are: x, y, width and height, or something else that tools write instead.

A file says nothing about its form, so boxes are compared with the outlines of the same annotations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3model.errors import DataError
from sam3model.printable import one_line

Numbers = tuple[float, float, float, float]

_FRACTION = 1.001
_FITS, _SURE, _MOST = 0.5, 0.75, 0.9
"""Minimum IoU with the outline of a box that fits; of one that is surely in a form; fraction that must be sure."""


@dataclass(frozen=True, slots=True)
class BoxForm:
    """What the four numbers of a box mean. corners: x0, y0, x1, y1; centred: the first two are the centre.

    fractions: of the image size instead of pixels.
    """

    corners: bool = False
    centred: bool = False
    fractions: bool = False

    def xyxy(self, numbers: Sequence[float], size: tuple[int, int]) -> Numbers:
        """A box as x0, y0, x1, y1 in pixels of an image of `size` (width, height)."""
        width, height = size if self.fractions else (1, 1)
        x, y, x1, y1 = numbers[0] * width, numbers[1] * height, numbers[2] * width, numbers[3] * height
        if self.corners:
            return x, y, x1, y1
        if self.centred:
            return x - x1 / 2, y - y1 / 2, x + x1 / 2, y + y1 / 2
        return x, y, x + x1, y + y1

    def __str__(self) -> str:
        names = "x0, y0, x1, y1" if self.corners else "centre x, centre y, width, height" if self.centred else ""
        if self.fractions:
            return f"{names or 'x, y, width, height'} in fractions of the image size"
        return names or "x, y, width, height"


XYWH = BoxForm()
_OTHERS = (
    BoxForm(corners=True),
    BoxForm(fractions=True),
    BoxForm(corners=True, fractions=True),
    BoxForm(centred=True),
    BoxForm(centred=True, fractions=True),
)


@dataclass(frozen=True, slots=True)
class BoxSample:
    """A box as the file has it, the size (width, height) of its image, and the box x0, y0, x1, y1 of its outline."""

    name: str
    numbers: Numbers
    size: tuple[int, int]
    outline: Numbers | None = None


def find_form(samples: Sequence[BoxSample]) -> tuple[BoxForm, str | None]:
    """The form of the boxes of a file, and a warning if something is wrong with them.

    A form other than x, y, width and height is only returned if the outlines prove it.

    Raises:
        DataError: the boxes are in fractions of the image, and no outline shows in which order.
    """
    _refuse_fractions(samples)
    drawn = [sample for sample in samples if sample.outline is not None]
    bad = [sample for sample in drawn if _fit(XYWH, sample) < _FITS]
    if not bad:
        return XYWH, None if drawn else _beyond(samples)
    what = f"{len(bad)} of {len(drawn)} boxes do not fit their outlines (the first is {one_line(bad[0].name)})"
    for form in _OTHERS:
        if sum(_fit(form, sample) >= _SURE for sample in drawn) >= _MOST * len(drawn):
            return form, f"{what}: they look like {form}, and are read as such"
    if sum(_fraction_outline(sample) for sample in drawn) >= _MOST * len(drawn):
        raise DataError(f"{what}: the outlines look like fractions of the image size; write them in pixels")
    return XYWH, f"{what}: check how they were exported"


def refuse_fraction_outlines(outlines: Sequence[Numbers]) -> None:
    """Raise `DataError` if the boxes of all outlines, which have no boxes beside them, are in fractions."""
    if outlines and max(abs(one) for outline in outlines for one in outline) <= _FRACTION:
        raise DataError(
            "the outlines look like fractions of the image size (no number is above 1): write them in pixels"
        )


def _refuse_fractions(samples: Sequence[BoxSample]) -> None:
    """Raise `DataError` if no number is above 1, in boxes and outlines."""
    numbers = [abs(one) for sample in samples for one in (*sample.numbers, *(sample.outline or ()))]
    if numbers and max(numbers) <= _FRACTION and min(min(sample.size) for sample in samples) > 2:
        raise DataError(
            "the boxes look like fractions of the image size (no number is above 1): "
            "write them as x, y, width, height in pixels"
        )


def _beyond(samples: Sequence[BoxSample]) -> str | None:
    """A warning for boxes that reach out of their images, if nothing else shows what their numbers mean."""
    if not samples:
        return None
    numbers: NDArray[np.float64] = np.array([sample.numbers for sample in samples])
    sizes = np.array([sample.size for sample in samples])
    beyond = (numbers[:, :2] + numbers[:, 2:] > 1.02 * sizes + 1).any(1)
    corners = (numbers[:, 2:] > numbers[:, :2]).all() and (numbers[:, 2:] <= 1.02 * sizes + 1).all()
    if beyond.sum() <= 0.1 * len(samples) or not corners:
        return None
    first = samples[int(beyond.argmax())].name
    return (
        f"{beyond.sum()} of {len(samples)} boxes reach out of their images (the first is {one_line(first)}): "
        f"they look like {BoxForm(corners=True)}, but are read as {XYWH}; write width and height instead"
    )


def _fraction_outline(sample: BoxSample) -> bool:
    return sample.outline is not None and max(map(abs, sample.outline)) <= _FRACTION


def _fit(form: BoxForm, sample: BoxSample) -> float:
    """IoU of a box in this form with its outline."""
    if sample.outline is None:
        return 1.0
    a, b = np.array(form.xyxy(sample.numbers, sample.size)), np.array(sample.outline)
    limit = np.array(sample.size * 2, float)
    a, b = np.clip(a, 0, limit), np.clip(b, 0, limit)
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    area_a, area_b = np.clip(a[2:] - a[:2], 0, None).prod(), np.clip(b[2:] - b[:2], 0, None).prod()
    union = area_a + area_b - inner
    return float(inner / union) if union > 0 else 1.0
