"""Following the kept objects of a clip from one frame to its end, or back to its start, and keeping what users showed.

The masks are stored frame by frame, so that a run that is stopped or killed keeps what it has.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from sam3agent.media import ClipMedia
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_events import NewsDesk
from sam3agent.servers.studio.studio_media import OpenItem, in_background
from sam3agent.servers.studio.studio_sheet import SheetObject
from sam3agent.tracker import ClipSession
from sam3model.errors import InputError, Sam3Error

log = logging.getLogger(__name__)

TELL_SECONDS = 0.2
"""Minimum time between two reports of progress."""


@dataclass(eq=False)
class FollowRun:
    """One run, prepared: the objects have shapes for it, and their item is busy until it has ended.

    objects: those to follow from a frame of the clip on, or back from it. problem: what went wrong, once it has ended.
    """

    engine: StudioEngine
    hub: NewsDesk
    opened: OpenItem
    clip: ClipMedia
    objects: Sequence[SheetObject]
    frame: int
    backward: bool = False
    problem: str = ""

    def __post_init__(self) -> None:
        self._total = self.frame if self.backward else self.clip.count - 1 - self.frame
        self._begun, self._stopped = threading.Lock(), threading.Event()
        self._done = 0

    def __call__(self) -> None:
        """Follow, on the thread that calls; pages are told of what goes wrong."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._follow()
        except Sam3Error as error:
            self.problem = str(error)
        except Exception as error:
            log.exception("following failed")
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self._end()

    def stop(self) -> None:
        """End it at its next frame, or at once if it has not begun. What it has found is kept."""
        self._stopped.set()
        if self._begun.acquire(blocking=False):
            self._end()

    def _end(self) -> None:
        self.engine.busy.discard(self.opened.item.id)
        self.tell(self._done, self.frame, ended=True)

    def tell(self, done: int, frame: int, *, ended: bool = False) -> None:
        """Tell the pages how many frames are done, and which is the latest."""
        self.hub.publish(
            "follow", item=self.opened.item.id, done=min(done, self._total), total=self._total, frame=frame,
            ended=ended, problem=self.problem,
        )  # fmt: skip

    def _follow(self) -> None:
        """Show every object to the tracker as its mask, also where it was corrected later, and store what follows."""
        session = self.engine.agent.tracker.open(self.clip.part(range(self.clip.count)))
        shapes = {number: one.shape for one in self.objects for number in self._shown_to(session, one)}
        told = 0.0
        for result in session.propagate(start=self.frame, reverse=self.backward):
            if self._stopped.is_set():
                return
            if result.frame != self.frame:
                self._done += 1
                for number, rle in zip(map(int, result.ids), result.masks, strict=True):
                    if number in shapes:
                        self.engine.store.put_mask(shapes[number], result.frame, rle if _has_pixels(rle) else None)
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                self.tell(self._done, result.frame)

    def _shown_to(self, session: ClipSession, one: SheetObject) -> set[int]:
        """Show an object to the tracker, on this frame and on those ahead where a user showed it; its numbers there."""
        frames = self.engine.store.frames(one.shape).items()
        ahead = [at for at, shown in frames if shown and (at < self.frame if self.backward else at > self.frame)]
        known, numbers = None, set[int]()
        for at in [self.frame, *sorted(ahead, reverse=self.backward)]:
            mask = self.engine.mask(one, at, self.opened)
            if mask is not None:
                known = session.add_mask(mask.full(), frame=at, object_id=known).object_id
                numbers.add(known)
        return numbers


Launch = Callable[[FollowRun], object]
"""Sees to it that a run is called, now or later, on a thread that may take long."""


class FollowDesk:
    """Starts and stops runs. One at a time on an item."""

    def __init__(self, engine: StudioEngine, hub: NewsDesk, launch: Launch = in_background) -> None:
        self._engine, self._hub, self._launch = engine, hub, launch
        self._runs = WeakValueDictionary[str, FollowRun]()  # a run that has ended must not hold its clip

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
            kept = range(frame, media.count) if backward else range(frame + 1)
            changed = [replace(one, shape=self._engine.store.new_shape(one.shape, kept)) for one in followed]
            for one in changed:
                sheet = sheet.with_object(one)
            way = "back" if backward else "on"
            what = f"follow {len(changed)} object{'s' * (len(changed) > 1)} {way} from frame {frame}"
            shown = self._engine.commit(sheet, what, frame)
            run = self._runs[item_id] = FollowRun(self._engine, self._hub, opened, media, changed, frame, backward)
            self._engine.busy.add(item_id)
            run.tell(0, frame)
        self._launch(run)
        return shown

    def stop(self, item_id: str) -> bool:
        """Stop the run on an item. False if there is none."""
        run = self._runs.get(item_id)
        if run is not None:
            run.stop()
        return run is not None


def _has_pixels(rle: dict[str, Any]) -> bool:
    from sam3model.ops.masks import coco

    return bool(coco.area(rle))
