"""From clicks to a mask: a new object, or a change of an existing mask around the last click."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Mask
from sam3agent.segmenter import ObjectClicks, ObjectSession
from sam3agent.servers.studio.studio_sheet import Click
from sam3model.errors import InputError
from sam3model.ops.masks import deepest_pixel

Box = tuple[float, float, float, float]
Pixels = NDArray[np.bool_]

LOOK_SIDE = 512
"""Changes are taken apart at this size at most."""

ALREADY = (
    "this place is not part of the object: click on what is too much",
    "this place is part of the object already: click on what is missing",
)
"""What is said about a click that changes nothing, by its label."""

THIN = 2
"""Parts of a change up to twice as thin, at that size, are edges drawn a little differently; they connect nothing."""


MAX_GROWTH = 4
"""A part that is this many times as large as the mask, and covers `MAX_COVER` of the image, may be the background. It
is if it also touches `MIN_BORDERS` borders of the image, or is most of what is outside the mask."""

MAX_COVER = 0.25

MIN_BORDERS = 3

BACKGROUND = "this looks like the background, not like a part of the object: click well inside the part, or paint it"


def new_object(session: ObjectSession, clicks: Sequence[Click], box: Box | None, frame: int) -> tuple[Mask, float]:
    """The mask of one object from clicks, a box (xyxy in pixels) or both, and its predicted IoU.

    Raises `InputError` if the weights cannot do that, or there is nothing.
    """
    points, labels = _split(clicks)
    found = session.segment_object(ObjectClicks(points, labels, box), frame)
    mask = Mask.from_full(found.masks[0])
    if mask is None:
        raise InputError("there is no object here: click well inside one, or drag a box around it")
    return mask, float(found.scores[0])


def corrected(session: ObjectSession, earlier: Mask, clicks: Sequence[Click], frame: int) -> Mask:
    """The mask after the last click: only the part around it changes, as little as a reading of the clicks allows.

    A small model asked again often redraws what was right before. So several readings are compared, and of each only
    the connected change at the click is used.

    Raises `InputError` if no reading obeys the last click but by adding the background, or nothing would be left.
    """
    before, click = earlier.full(), clicks[-1]
    pixel = _pixel(before, click)
    if bool(before[pixel]) == bool(click[2]):
        raise InputError(ALREADY[click[2]])
    readings = [full for full in _readings(session, earlier, before, clicks, frame) if _obeys(full, click)]
    changes = [change_at(before ^ full, pixel) for full in readings]
    parts = [(part, solid) for part, solid in changes if not _is_background(part, earlier)]
    if changes and not parts:
        raise InputError(BACKGROUND)
    clear = [part for part, solid in parts if solid] or [part for part, _ in parts]
    if not clear:
        verb = "added" if click[2] else "removed"
        raise InputError(f"nothing can be {verb} at this place: click further inside the part, or paint it")
    mask = Mask.from_full(before ^ min(clear, key=np.count_nonzero))
    if mask is None:
        raise InputError("nothing would be left of this object: reject or delete it instead")
    return mask


def change_at(change: Pixels, pixel: tuple[int, int]) -> tuple[Pixels, bool]:
    """The part of a change (H, W) that is connected to a changed pixel (row, column), without what is only thin.

    Also whether the change is more than thin at that pixel; if it is not, the part is all that touches the pixel.
    """
    from scipy.ndimage import binary_dilation, binary_opening, label

    rows, columns = np.flatnonzero(change.any(1)), np.flatnonzero(change.any(0))
    top, left = int(rows[0]), int(columns[0])
    crop = change[top : rows[-1] + 1, left : columns[-1] + 1]
    step = -(-max(change.shape) // LOOK_SIDE)
    small = np.pad(crop[::step, ::step], THIN + 1)
    at = (pixel[0] - top) // step + THIN + 1, (pixel[1] - left) // step + THIN + 1
    opened = np.asarray(binary_opening(small, iterations=THIN))
    solid = bool(opened[at])
    small[at] = True
    parts: Any = label(opened if solid else small)
    numbered = np.asarray(parts[0])
    part = np.asarray(binary_dilation(numbered == numbered[at], np.ones((3, 3)), iterations=THIN))
    part = part[THIN + 1 : -THIN - 1, THIN + 1 : -THIN - 1]
    large = part.astype(bool).repeat(step, 0).repeat(step, 1)[: crop.shape[0], : crop.shape[1]]
    kept = np.zeros_like(change)
    kept[top : top + crop.shape[0], left : left + crop.shape[1]] = crop & large
    kept[pixel] = True
    return kept, solid


def _is_background(part: Pixels, earlier: Mask) -> bool:
    """Whether a part (H, W) is far too large to belong to the object: the click was beside it."""
    size = int(np.count_nonzero(part))
    if size <= MAX_GROWTH * earlier.area or size <= MAX_COVER * part.size:
        return False
    borders = sum(bool(edge.any()) for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
    return borders >= MIN_BORDERS or 2 * size > part.size - earlier.area


def _readings(
    session: ObjectSession, earlier: Mask, before: Pixels, clicks: Sequence[Click], frame: int
) -> Iterator[Pixels]:
    """Masks (H, W) that the clicks may mean: of all clicks, or the earlier one with or without what is clicked."""
    x, y, _ = deepest_pixel(before)
    points, labels = _split([(x, y, 1), *clicks])
    yield from session.segment_object(ObjectClicks(points, labels, candidates=True), frame).masks
    yield from session.segment_object(ObjectClicks(points, labels, candidates=True, earlier=earlier), frame).masks
    x, y, adds = clicks[-1]
    for part in session.segment_object(ObjectClicks(((x, y),), (1,), candidates=True), frame).masks:
        yield before | part if adds else before & ~part


def _split(clicks: Sequence[Click]) -> tuple[tuple[tuple[float, float], ...], tuple[int, ...]]:
    return tuple((float(x), float(y)) for x, y, _ in clicks), tuple(int(label) for _, _, label in clicks)


def _pixel(mask: Pixels, click: Click) -> tuple[int, int]:
    """Row and column of a click."""
    height, width = mask.shape
    return min(max(int(click[1]), 0), height - 1), min(max(int(click[0]), 0), width - 1)


def _obeys(mask: Pixels, click: Click) -> bool:
    return bool(mask[_pixel(mask, click)]) == bool(click[2])
