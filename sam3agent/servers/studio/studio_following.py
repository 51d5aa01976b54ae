"""Following the kept objects of a clip from one frame to its end, or back to its start, and keeping what users showed.

The masks are stored frame by frame, so that a run that is stopped or killed keeps what it has.
"""

import logging
import threading
import time
from dataclasses import replace
from typing import Any

from sam3agent.media import ClipMedia
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_events import NewsDesk
from sam3agent.servers.studio.studio_media import OpenItem, in_background
from sam3agent.servers.studio.studio_sheet import SheetObject
from sam3model.errors import InputError, Sam3Error

log = logging.getLogger(__name__)

TELL_SECONDS = 0.2
"""Minimum time between two reports of progress."""


class FollowDesk:
    """Starts and stops runs. One at a time on an item."""

    def __init__(self, engine: StudioEngine, hub: NewsDesk) -> None:
        self._engine, self._hub = engine, hub
        self._stops: dict[str, threading.Event] = {}

    def start(self, item_id: str, frame: int, *, backward: bool = False) -> dict[str, Any]:
        """Follow the kept objects that have a mask on a frame. Raises `InputError` if there is none."""
        opened = self._engine.open(item_id, frame)
        media = opened.media
        if not isinstance(media, ClipMedia):
            raise InputError("this is a single image: only the objects of a clip can be followed")
        with opened.turn:
            self._engine.check_free(item_id)
            sheet = self._engine.store.sheet(item_id)
            followed = [one for one in sheet.kept if self._engine.mask(one, frame, opened) is not None]
            if not followed:
                raise InputError("no kept object has a mask on this frame: find or click one here first")
            self._engine.busy.add(item_id)
            self._stops[item_id] = threading.Event()
            kept = range(frame, media.count) if backward else range(frame + 1)
            changed = [replace(one, shape=self._engine.store.new_shape(one.shape, kept)) for one in followed]
            for one in changed:
                sheet = sheet.with_object(one)
            way = "back" if backward else "on"
            shown = self._engine.commit(
                sheet, f"follow {len(changed)} object{'s' * (len(changed) > 1)} {way} from frame {frame}", frame
            )
        in_background(lambda: self._run(opened, media, changed, frame, backward))
        return shown

    def stop(self, item_id: str) -> None:
        """Stop the run on an item; what it has found is kept."""
        if item_id in self._stops:
            self._stops[item_id].set()

    def _run(self, opened: OpenItem, clip: ClipMedia, objects: list[SheetObject], frame: int, backward: bool) -> None:
        item_id, problem = opened.item.id, ""
        try:
            self._follow(opened, clip, objects, frame, backward)
        except Sam3Error as error:
            problem = str(error)
        except Exception as error:
            log.exception("following failed")
            problem = f"{type(error).__name__}: {error}"
        finally:
            self._stops.pop(item_id, None)
            self._engine.busy.discard(item_id)
            self._hub.publish("follow", item=item_id, done=1, total=1, frame=frame, ended=True, problem=problem)

    def _follow(
        self, opened: OpenItem, clip: ClipMedia, objects: list[SheetObject], frame: int, backward: bool
    ) -> None:
        """Show every object to the tracker as its mask, also where it was corrected later, and store what follows."""
        store, stop, item_id = self._engine.store, self._stops[opened.item.id], opened.item.id
        total = frame if backward else clip.count - 1 - frame
        self._hub.publish("follow", item=item_id, done=0, total=total, frame=frame, ended=False, problem="")
        session = self._engine.agent.tracker.open(clip.part(range(clip.count)))
        shapes: dict[int, int] = {}
        for one in objects:
            ahead = [
                at
                for at, shown in store.frames(one.shape).items()
                if shown and (at < frame if backward else at > frame)
            ]
            known = None
            for at in [frame, *sorted(ahead, reverse=backward)]:
                mask = self._engine.mask(one, at, opened)
                if mask is not None:
                    known = session.add_mask(mask.full(), frame=at, object_id=known).object_id
                    shapes[known] = one.shape
        told = 0.0
        for done, result in enumerate(session.propagate(start=frame, reverse=backward), start=1):
            if stop.is_set():
                return
            if result.frame != frame:
                for number, rle in zip(map(int, result.ids), result.masks, strict=True):
                    if number in shapes:
                        store.put_mask(shapes[number], result.frame, rle if _has_pixels(rle) else None)
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                self._hub.publish(
                    "follow",
                    item=item_id,
                    done=min(done, total),
                    total=total,
                    frame=result.frame,
                    ended=False,
                    problem="",
                )


def _has_pixels(rle: dict[str, Any]) -> bool:
    from sam3model.ops.masks import coco

    return bool(coco.area(rle))
