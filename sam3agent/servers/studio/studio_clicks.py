"""From clicks to a mask: a new object, or the smallest change of an existing mask that obeys the clicks."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sam3agent.masks import Mask
from sam3agent.segmenter import ObjectClicks, ObjectSession
from sam3agent.servers.studio.studio_sheet import Click, iou
from sam3model.errors import InputError
from sam3model.ops.masks import deepest_pixel

Box = tuple[float, float, float, float]


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


def corrected(session: ObjectSession, earlier: Mask, clicks: Sequence[Click], frame: int) -> tuple[Mask, float]:
    """The mask that obeys the clicks, above all the last one, and is closest to the earlier mask; its predicted IoU.

    Several readings of the clicks are compared, so that one click changes one part of an object and leaves the rest.

    Raises `InputError` if no reading obeys the last click.
    """
    ranked = [
        (_obeyed(mask, clicks), iou(mask, earlier), score, mask)
        for full, score in _readings(session, earlier, clicks, frame)
        if (mask := Mask.from_full(full)) is not None and _obeys(full, clicks[-1])
    ]
    if not ranked:
        verb = "added" if clicks[-1][2] else "removed"
        raise InputError(f"nothing can be {verb} at this place: click further inside the part, or paint it")
    _, _, score, mask = max(ranked, key=lambda row: row[:2])
    return mask, score


def _readings(
    session: ObjectSession, earlier: Mask, clicks: Sequence[Click], frame: int
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """Masks (H, W) that the clicks may mean, with their predicted IoUs."""
    full = earlier.full()
    x, y, _ = deepest_pixel(full)
    points, labels = _split([(x, y, 1), *clicks])
    for prompt in (
        ObjectClicks(points, labels, candidates=True),
        ObjectClicks(points, labels, candidates=True, earlier=earlier),
    ):
        found = session.segment_object(prompt, frame)
        yield from zip(found.masks, map(float, found.scores), strict=True)
    x, y, label = clicks[-1]
    there = session.segment_object(ObjectClicks(((x, y),), (1,), candidates=True), frame)
    for part, score in zip(there.masks, map(float, there.scores), strict=True):
        yield (full | part if label else full & ~part), score


def _split(clicks: Sequence[Click]) -> tuple[tuple[tuple[float, float], ...], tuple[int, ...]]:
    return tuple((float(x), float(y)) for x, y, _ in clicks), tuple(int(label) for _, _, label in clicks)


def _obeys(mask: NDArray[np.bool_], click: Click) -> bool:
    height, width = mask.shape
    x, y, label = click
    return bool(mask[min(int(y), height - 1), min(int(x), width - 1)]) == bool(label)


def _obeyed(mask: Mask, clicks: Sequence[Click]) -> int:
    full = mask.full()
    return sum(_obeys(full, click) for click in clicks)
