"""Putting what was found on a sheet: new objects, and objects found again, which stay as they are."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sam3agent.masks import Mask
from sam3agent.servers.studio.studio_sheet import SAME_OBJECT_IOU, FoundMask, Sheet, SheetObject, iou
from sam3agent.servers.studio.studio_store import StudioStore


class FoundPlacer:
    """Puts found masks on the sheets of a store. size: width and height of the medium in pixels."""

    def __init__(self, store: StudioStore, size: tuple[int, int]) -> None:
        self._store = store
        self._size = size
        self._masks: dict[tuple[int, int], Mask | None] = {}

    def placed(self, sheet: Sheet, found: Iterable[FoundMask]) -> Sheet:
        """The sheet with everything that was found; the same sheet if all of it was there already.

        An object found again stays as it is, but a rejected one is kept if it now matches, and one that has a mask on a
        single frame gets those of the other frames.
        """
        for new in sorted(found, key=lambda one: not one.kept):
            old = next((one for one in sheet.objects if self._is_same(one, new)), None)
            sheet = sheet.with_object(self._added(sheet, new) if old is None else self._again(old, new))
        return sheet

    def _is_same(self, old: SheetObject, new: FoundMask) -> bool:
        """Whether their masks agree on a frame that both are on: the one where it was found, else the first one."""
        if old.label != new.label:
            return False
        shared = [frame for frame in self._store.frames(old.shape) if frame in new.masklet.areas]
        if not shared:
            return False
        frame = new.frame if new.frame in shared else shared[0]
        mask = self._mask(old.shape, frame)
        return mask is not None and iou(mask, new.masklet.masks[frame]) >= SAME_OBJECT_IOU

    def _added(self, sheet: Sheet, new: FoundMask) -> SheetObject:
        """A new object, shown on the frame where it was found."""
        shape = self._store.new_shape()
        self._store.put_masks(shape, new.masklet.to_json(), shown=new.frame)
        number = self._store.next_id(sheet.item)
        return SheetObject(number, new.label, new.source, shape, new.score, new.kept, new.why, new.frame)

    def _again(self, old: SheetObject, new: FoundMask) -> SheetObject:
        """An object that was found again."""
        if new.kept and not old.kept and not old.why.startswith("You "):
            old = replace(old, kept=True, why=new.why, score=new.score)
        there = self._store.frames(old.shape)
        if len(there) == 1 and len(new.masklet.areas) > 1:
            others = {t: rle for t, rle in new.masklet.to_json().items() if int(t) not in there}
            old = replace(old, shape=self._store.new_shape(old.shape))
            self._store.put_masks(old.shape, others)
        return old

    def _mask(self, shape: int, frame: int) -> Mask | None:
        """The mask of a shape on a frame, decoded once."""
        if (shape, frame) not in self._masks:
            counts = self._store.masks([shape], frame).get(shape)
            self._masks[shape, frame] = None if counts is None else Mask.from_rle(self._rle(counts))
        return self._masks[shape, frame]

    def _rle(self, counts: str) -> Mapping[str, Any]:
        return {"size": [self._size[1], self._size[0]], "counts": counts}
