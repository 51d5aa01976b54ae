"""What the page can do to an item, apart from questions and following: look, find, click, edit, undo, accept.

Every method runs on a worker thread, changes one sheet and returns what the page shows of it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sam3agent.api import Agent
from sam3agent.knowledge import knowledge_of, unread_warning, unread_words
from sam3agent.masks import Mask, Masklet
from sam3agent.segmenter import DEFAULT_THRESHOLD, FoundInstances, ObjectSession, Prompt
from sam3agent.servers.studio.studio_clicks import Box, corrected, new_object
from sam3agent.servers.studio.studio_found import FoundPlacer
from sam3agent.servers.studio.studio_library import ItemLibrary, StudioItem
from sam3agent.servers.studio.studio_media import MediaShelf, OpenItem, Shelf
from sam3agent.servers.studio.studio_sheet import Click, FoundMask, ObjectSource, Sheet, SheetObject
from sam3agent.servers.studio.studio_store import StudioStore
from sam3model.errors import InputError, Sam3Error

log = logging.getLogger(__name__)

LOWEST_SCORE = 0.25
"""Masks with a score from here up to the threshold are shown as rejected, so that a user can keep them."""

NEW_LABEL = "object"
"""Label of an object that a user shows before naming anything."""

CORRECTED = "You corrected its mask"

Changed = Callable[[Sheet], None]


class StudioEngine:
    """The items, their sheets and the model that fills them. `changed` hears of every new version of a sheet."""

    def __init__(
        self, library: ItemLibrary, store: StudioStore, agent: Agent, changed: Changed, shelf: Shelf | None = None
    ) -> None:
        """shelf: where media are opened; by default, files are opened by their paths."""
        self.library = library
        self.store = store
        self.agent = agent
        self.shelf = shelf or MediaShelf(agent.segmenter)
        self.busy: set[str] = set()
        self._changed = changed

    @property
    def threshold(self) -> float:
        """Minimum score of a mask that is kept."""
        return DEFAULT_THRESHOLD if self.agent.threshold is None else self.agent.threshold

    def open(self, item_id: str, frame: int = 0) -> OpenItem:
        """The open medium of an item. Raises `InputError` if it is unreadable, has changed, or lacks the frame."""
        opened = self.shelf.take(self.library.item(item_id))
        media = opened.media
        if not 0 <= frame < media.count:
            raise InputError(f"there is no frame {frame}: the last one is {media.count - 1}")
        self.store.check_size(item_id, (*media.size, media.count))
        return opened

    def warm(self, item_id: str) -> str:
        """Encode an item before it is needed; what to know about the weights, in a sentence."""
        try:
            return knowledge_of(self.open(item_id).session).notice
        except Sam3Error as error:
            log.info("not encoded ahead: %s", error)
            return ""

    def listing(self) -> list[dict[str, Any]]:
        """Every item, whether it is accepted, and its number of objects."""
        states = self.store.overview()

        def row(item: StudioItem) -> dict[str, Any]:
            accepted, count = states.get(item.id, (False, 0))
            return {"id": item.id, "name": item.name, "kind": item.kind, "accepted": accepted, "count": count}

        return [row(item) for item in self.library.items()]

    def look(self, item_id: str, frame: int = 0) -> dict[str, Any]:
        """The sheet of an item with the masks on one frame. Raises `InputError` if the file cannot be used."""
        opened = self.open(item_id, frame)
        media, sheet = opened.media, self.store.sheet(item_id)
        width, height = media.size
        objects = [one.to_json() for one in sheet.objects]
        if media.count > 1:
            for values, one in zip(objects, sheet.objects, strict=True):
                frames = self.store.frames(one.shape)
                values["spans"] = _spans(frames)
                values["shown"] = [at for at, shown in frames.items() if shown]
        rate = 1 / max(media.time(1), 1e-3) if media.count > 1 else 0
        return {
            "id": item_id, "name": opened.item.name, "kind": "clip" if media.count > 1 else "image",
            "width": width, "height": height, "count": media.count, "rate": round(rate, 3),
            "version": sheet.version, "accepted": sheet.accepted, "undo": sheet.undo, "redo": sheet.redo,
            "objects": objects, **self.masks(sheet, frame),
        }  # fmt: skip

    def masks(self, sheet: Sheet, frame: int) -> dict[str, Any]:
        """The masks on a frame: COCO RLE counts by shape."""
        return {"frame": frame, "masks": self.store.masks((one.shape for one in sheet.objects), frame)}

    def clip_masks(self, item_id: str, first: int, last: int) -> dict[str, Any]:
        """The masks on some frames, both ends included, at most 64: COCO RLE counts by shape, by frame."""
        sheet = self.store.sheet(item_id)
        frames = range(first, min(max(first, last), first + 63) + 1)
        return {"frames": {frame: self.masks(sheet, frame)["masks"] for frame in frames}}

    def find(self, item_id: str, phrases: Sequence[str], frame: int = 0) -> dict[str, Any]:
        """Find all instances of each phrase on a frame. Raises `InputError` for a phrase that cannot be searched."""
        opened = self.open(item_id, frame)
        phrases = [" ".join(phrase.split()) for phrase in phrases if phrase.strip()]
        if not phrases:
            raise InputError("write what to find, e.g. player in white")
        for phrase in phrases:
            if unread := unread_words(opened.session, phrase):
                raise InputError(f"{unread_warning(phrase, unread)}; use a shorter phrase")
        lowest = min(LOWEST_SCORE, self.threshold)
        results = opened.session.segment_phrases(phrases, lowest, frame)
        found = [
            one
            for phrase, instances in zip(phrases, results, strict=True)
            for one in self._judged(instances, phrase, "phrase", f"“{phrase}” matches with", frame)
        ]
        return self.add_found(opened, found, frame, f"find {', '.join(phrases)}")

    def find_like(self, item_id: str, boxes: Sequence[Box], label: str, frame: int = 0) -> dict[str, Any]:
        """Find everything that looks like the inside of some boxes, xyxy in pixels."""
        opened = self.open(item_id, frame)
        instances = opened.session.segment_prompt(
            Prompt(boxes=tuple(boxes), box_labels=(1,) * len(boxes)), min(LOWEST_SCORE, self.threshold), frame
        )
        named, words = label or NEW_LABEL, "It looks like the example, with"
        found = self._judged(instances, named, "example", words, frame)
        return self.add_found(opened, found, frame, f"find more like the example ({named})")

    def click(
        self, item_id: str, object_id: int | None, click: Click | None, box: Box | None, label: str, frame: int = 0
    ) -> dict[str, Any]:
        """Segment a new object by a click or a box, or correct an object by a click on a frame.

        Raises `InputError` if the weights cannot be clicked, or there is nothing at this place.
        """
        opened = self.open(item_id, frame)
        session = opened.session
        if not isinstance(session, ObjectSession):
            raise InputError("this segmenter knows phrases only: it cannot be corrected by clicks")
        with opened.turn:
            self.check_free(item_id)
            sheet = self.store.sheet(item_id)
            known = None if object_id is None else known_object(sheet, object_id)
            earlier = None if known is None else self.mask(known, frame, opened)
            if known is None or earlier is None:
                return self._show(opened, sheet, known, click, box, label, frame)
            if click is None:
                raise InputError("a box starts a new object: press Escape first, then drag it")
            clicks = (*known.clicks.get(str(frame), ()), click)
            mask = corrected(session, earlier, clicks, frame)
            changed = replace(known, clicks={**known.clicks, str(frame): clicks}, kept=True, why=_by_hand(known.why))
            what = f"{'add to' if click[2] else 'take from'} {known.label} {known.id}"
            return self.reshape(opened, sheet, changed, mask, frame, what)

    def _show(
        self, opened: OpenItem, sheet: Sheet, known: SheetObject | None, click: Click | None, box: Box | None,
        label: str, frame: int,
    ) -> dict[str, Any]:  # fmt: skip
        """A new object, or a known one on a frame where it has no mask yet."""
        session = opened.session
        if not isinstance(session, ObjectSession) or (click is None and box is None):
            raise InputError("click on an object, or drag a box around it")
        if click is not None and not click[2]:
            raise InputError("choose the object to take this part from: click on its mask first")
        clicks = () if click is None else (click,)
        mask, score = new_object(session, clicks, box, frame)
        if known is None:
            known = SheetObject(
                self.store.next_id(sheet.item), label or NEW_LABEL, "click" if box is None else "box", 0, frame=frame
            )
        known = replace(known, score=score, clicks={**known.clicks, str(frame): clicks}, kept=True)
        known = replace(known, why=known.why or "You showed it")
        return self.reshape(opened, sheet, known, mask, frame, f"add {known.label} {known.id}")

    def edit(
        self, item_id: str, object_ids: Sequence[int], label: str | None, kept: bool | None, frame: int = 0
    ) -> dict[str, Any]:
        """Rename, keep or reject objects."""
        with self.open(item_id, frame).turn:
            sheet, object_ids, named = self.store.sheet(item_id), tuple(dict.fromkeys(object_ids)), ""
            for one in [known_object(sheet, object_id) for object_id in object_ids]:
                changed = one
                if label is not None:
                    if not (named := " ".join(label.split())[:200]):
                        raise InputError("a label needs at least one letter")
                    changed = replace(changed, label=named)
                if kept is not None and kept != one.kept:
                    changed = replace(
                        changed, kept=kept, why=f"You {'kept' if kept else 'rejected'} it. {one.why}".strip()
                    )
                sheet = sheet.with_object(changed)
            verb = f"rename to {named}" if label is not None else "keep" if kept else "reject"
            return self.commit(sheet, f"{verb} {_count(object_ids)}", frame)

    def remove(self, item_id: str, object_ids: Sequence[int], frame: int = 0) -> dict[str, Any]:
        """Delete objects from the sheet. Raises `InputError` if one is not there any more."""
        with self.open(item_id, frame).turn:
            self.check_free(item_id)
            sheet, object_ids = self.store.sheet(item_id), tuple(dict.fromkeys(object_ids))
            for object_id in object_ids:
                known_object(sheet, object_id)
            return self.commit(sheet.without(object_ids), f"delete {_count(object_ids)}", frame)

    def accept(self, item_id: str, accepted: bool, frame: int = 0) -> dict[str, Any]:
        """Mark an item as done, or as not done."""
        with self.open(item_id, frame).turn:
            sheet = self.store.sheet(item_id)
            if sheet.accepted == accepted:
                return self.look(item_id, frame)
            return self.commit(replace(sheet, accepted=accepted), "accept" if accepted else "reopen", frame)

    def step(self, item_id: str, by: int, frame: int = 0) -> dict[str, Any]:
        """Undo (-1) or redo (1)."""
        with self.open(item_id).turn:
            self.check_free(item_id)
            self._changed(self.store.step(item_id, by))
        return self.look(item_id, frame)

    def add_found(self, opened: OpenItem, found: Iterable[FoundMask], frame: int, what: str) -> dict[str, Any]:
        """Add what was found to the sheet and show a frame of it; see `FoundPlacer.placed`."""
        item_id = opened.item.id
        with opened.turn:
            self.check_free(item_id)
            before = self.store.sheet(item_id)
            sheet = FoundPlacer(self.store, opened.media.size).placed(before, found)
            return self.commit(sheet, what, frame) if sheet != before else self.look(item_id, frame)

    def reshape(
        self, opened: OpenItem, sheet: Sheet, changed: SheetObject, mask: Mask, frame: int, what: str
    ) -> dict[str, Any]:
        """Give an object a mask on a frame; its masks on other frames stay."""
        shape = self.store.new_shape(copied=changed.shape or None)
        self.store.put_mask(shape, frame, mask.to_rle(), shown=True)
        return {**self.commit(sheet.with_object(replace(changed, shape=shape)), what, frame), "object": changed.id}

    def mask(self, one: SheetObject, frame: int, opened: OpenItem) -> Mask | None:
        """The mask of an object on a frame; None if it has none there."""
        width, height = opened.media.size
        counts = self.store.masks([one.shape], frame).get(one.shape)
        return None if counts is None else Mask.from_rle({"size": [height, width], "counts": counts})

    def commit(self, sheet: Sheet, what: str, frame: int = 0) -> dict[str, Any]:
        """Store a sheet, tell every page, and return what the asking page shows."""
        self._changed(self.store.commit(sheet, what))
        return self.look(sheet.item, frame)

    def check_free(self, item_id: str) -> None:
        """Raise `InputError` while objects are being followed through the clip."""
        if item_id in self.busy:
            raise InputError("objects are being followed through this clip: stop that first")

    def _judged(
        self, found: FoundInstances, label: str, source: ObjectSource, words: str, frame: int
    ) -> list[FoundMask]:
        """Found instances of a frame, each with the reason why it is kept or not."""
        judged = list[FoundMask]()
        for full, score in zip(found.masks, map(float, found.scores), strict=True):
            kept = score >= self.threshold
            limit = "" if kept else f", below the threshold of {self.threshold:.2f}"
            if (mask := Mask.from_full(full)) is not None:
                why = f"{words} score {score:.2f}{limit}"
                judged.append(FoundMask(Masklet.of(mask, frame), label, source, score, kept, why, frame))
        return judged


def known_object(sheet: Sheet, object_id: int) -> SheetObject:
    """The object of a sheet with an id. Raises `InputError` if there is none."""
    known = sheet.get(object_id)
    if known is None:
        raise InputError("this object is not there any more: it was deleted or undone in another tab")
    return known


def _by_hand(why: str) -> str:
    """The reason of an object with a note that a user corrected its mask."""
    return why if why.endswith(CORRECTED) or why.startswith("You ") else f"{why}. {CORRECTED}"


def _count(object_ids: Sequence[int]) -> str:
    return f"object {object_ids[0]}" if len(object_ids) == 1 else f"{len(object_ids)} objects"


def _spans(frames: Iterable[int]) -> list[list[int]]:
    """Ascending frame numbers as runs [first, last]."""
    spans = list[list[int]]()
    for frame in frames:
        if spans and spans[-1][1] == frame - 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    return spans
