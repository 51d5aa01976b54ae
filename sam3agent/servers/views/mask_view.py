"""A view of one reply: a sheet of its masks that a user can correct, kept equal to the client's masks of the image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from sam3agent.api import Agent
from sam3agent.masks import Masklet
from sam3agent.media import Media
from sam3agent.pool import Candidate, MaskPool, listed_masks
from sam3agent.servers.studio.studio_actions import changes
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_following import FollowDesk, Launch
from sam3agent.servers.studio.studio_library import StudioItem
from sam3agent.servers.studio.studio_sheet import Sheet, SheetObject
from sam3agent.servers.studio.studio_store import StudioStore
from sam3agent.servers.views.view_seed import ViewSeed
from sam3agent.servers.views.view_shelf import LatestNews, ViewShelf
from sam3model.errors import InputError

MAX_LISTED = 60
"""Number of masks that the words about a selection list one by one."""


@dataclass(frozen=True, slots=True)
class UserSelection:
    """What a user accepted. ids: of the masks. words: for the model."""

    ids: tuple[int, ...]
    words: str


class MaskView:
    """The masks of one reply as a user sees and corrects them. Its store is in memory, and goes with it."""

    def __init__(
        self, item: StudioItem, image: str, media: Media, agent: Agent, seed: ViewSeed, launch: Launch
    ) -> None:
        """image: what the model calls the image or clip. launch: starts a run that follows objects."""
        self.item = item
        self._image = image
        self.shelf = ViewShelf(item)
        self.news = LatestNews()
        self.questions = seed.questions
        self._store = StudioStore(None)
        self._engine = StudioEngine(self.shelf, self._store, agent, lambda _: None, self.shelf)
        self._follow = FollowDesk(self._engine, self.news, launch)
        self._changes = changes(self._engine, self._follow)
        self._size = media.size
        self._placed = dict[int, object]()
        self._agreed = WeakValueDictionary[int, Masklet]()
        self._first = self._seeded(seed)

    def look(self, frame: int) -> dict[str, Any]:
        """The sheet with the masks on a frame, as the page shows it."""
        return self._engine.look(self.item.id, frame)

    def listing(self) -> dict[str, Any]:
        """The one item, as the page lists items."""
        labels = list(dict.fromkeys(one.label for one in self.sheet.objects))
        return {
            "title": self.item.name,
            "items": [{"id": self.item.id, "name": self.item.name, "kind": self.item.kind, "accepted": False,
                       "count": len(self.sheet.kept)}],
            "labels": labels,
            "weights": self._engine.agent.segmenter.name,
        }  # fmt: skip

    def masks(self, first: int, last: int) -> dict[str, Any]:
        """The masks on some frames."""
        return self._engine.clip_masks(self.item.id, first, last)

    @property
    def nbytes(self) -> int:
        """Size in memory in bytes, about."""
        return self._store.nbytes

    @property
    def sheet(self) -> Sheet:
        """The objects now."""
        return self._store.sheet(self.item.id)

    def change(self, action: str, body: Mapping[str, Any], pool: MaskPool) -> tuple[dict[str, Any], MaskPool]:
        """Do what a user asked for; what the page shows then, and the client's masks with the change.

        pool: the client's masks, made equal just before.

        Raises `InputError` if it cannot be done, `pydantic.ValidationError` if the body does not fit.
        """
        if action not in self._changes or action in ("accept", "warm"):
            raise InputError(f"there is no action {action[:40]!r}")
        model, run = self._changes[action]
        self._store.skip_ids(self.item.id, pool.next_id)
        shown = run(model.model_validate({**body, "item": self.item.id}))
        return shown, self.synced(pool)

    def warm(self) -> dict[str, Any]:
        """What to know about the weights."""
        return {"notice": self._engine.warm(self.item.id)}

    def synced(self, pool: MaskPool) -> MaskPool:
        """Make the masks here and the client's equal: what a user changed here is put there, under the same number.

        What was changed there since, by a tool or in another view of the image, is taken over here.
        """
        busy = self.item.id in self._engine.busy  # a run that ends from here on has changed what is handed over
        pool = self._given(pool)
        if not busy:
            self._take(pool)
        return pool

    def insisted(self, pool: MaskPool) -> MaskPool:
        """The client's masks with all that the user keeps as it is seen here, whatever was changed there since."""
        return self._given(pool, insist=True)

    def _given(self, pool: MaskPool, *, insist: bool = False) -> MaskPool:
        """The client's masks with those that were changed here since they were last equal."""
        objects = self.sheet.objects
        replaced = _replaced(pool)
        for one in objects:
            if not insist and one.id in self._placed and one.id in replaced:
                continue  # split or merged there: a number that is gone never comes back by itself
            differs = insist and one.kept and not self._is_equal(one, pool.get(one.id))
            state = self._state(one)  # before its masks are read: a run may add some meanwhile
            changed = self._placed.get(one.id) != state and (one.kept or one.id in self._placed)
            if (changed or differs) and (masklet := self._masklet(one)):
                pool = pool.put(one.id, masklet, one.label, one.score)
                self._agreed[one.id] = masklet
                self._placed[one.id] = state
        return pool.reserved(max((one.id for one in objects), default=0) + 1)

    def _take(self, pool: MaskPool) -> None:
        """Show what has other masks in the pool as it is there; this can be undone."""
        before, sheet = self.sheet, self._without_replaced(pool)
        for one in before.objects:
            there = pool.get(one.id)
            if there is None or one.id not in self._placed or self._is_equal(one, there):
                continue
            shape = self._new_shape(there.masklet, there.frame)
            taken = replace(one, shape=shape, clicks={})
            sheet = sheet.with_object(taken)
            self._placed[one.id] = self._state(taken)
            if (first := self._first.get(one.id)) and first.shape == one.shape:
                self._first = self._first.with_object(replace(first, shape=shape))
        if sheet != before:
            self._store.commit(sheet, "what changed elsewhere")

    def _without_replaced(self, pool: MaskPool) -> Sheet:
        """The sheet with the masks that a split or merge made, in place of those that it was made from."""
        sheet = self.sheet
        numbers = _replaced(pool) & self._placed.keys()
        gone = {one.id: one for one in sheet.objects if one.id in numbers}
        for there in pool.candidates:
            if not (sources := there.replaces & gone.keys()) or sheet.get(there.id):
                continue
            old = gone[min(sources)]
            kept = any(gone[number].kept for number in sources)
            why = f"It was made from {listed_masks(sorted(sources))}"
            shape = self._new_shape(there.masklet, there.frame)
            made = SheetObject(there.id, old.label, old.source, shape, there.score, kept, why, there.frame)
            self._placed[made.id] = self._state(made)
            sheet = sheet.with_object(made)
        for number in gone:
            del self._placed[number]
        return sheet.without(gone) if gone else sheet

    def _is_equal(self, one: SheetObject, there: Candidate | None) -> bool:
        """Whether an object has the same masks here and in the pool."""
        if there is None:
            return False
        if self._agreed.get(one.id) is not there.masklet:
            counts = self._store.masks_over_time(one.shape)
            if counts.keys() != there.masklet.areas.keys():
                return False
            if any((there.masklet.rle(frame) or {})["counts"] != text for frame, text in counts.items()):
                return False
            self._agreed[one.id] = there.masklet
        return True

    def accepted(self) -> UserSelection:
        """What a user accepts, in words. Raises `InputError` while objects are followed."""
        self._engine.check_free(self.item.id)
        sheet = self.sheet
        ids = tuple(one.id for one in sheet.kept)
        gone = [one.id for one in self._first.kept if one.id not in ids]
        words = f"The user looked at {self._image} and accepted {listed_masks(ids)}."
        if not ids:
            words = f"The user looked at {self._image} and accepted none of the masks."
        words += f" The user rejected {listed_masks(gone)}." if gone else ""
        lines = [self._line(one) for one in sheet.kept[:MAX_LISTED]]
        if len(ids) > MAX_LISTED:
            lines.append(f"… and {len(ids) - MAX_LISTED} more masks")
        return UserSelection(ids, "\n".join([words, *lines]))

    def _line(self, one: SheetObject) -> str:
        masklet = self._masklet(one)
        known = self._first.get(one.id)
        by_hand = "added by the user" if known is None else "corrected by the user" if known.shape != one.shape else ""
        place = f"box {list(masklet.mask.box)}" if masklet else "no pixels"
        if masklet and len(masklet.areas) > 1:
            frames = masklet.areas
            place = f"frames {min(frames)} to {max(frames)}, {place} on frame {masklet.key_frame}"
        return "; ".join(filter(None, [f'mask {one.id} ("{one.label}"): {place}', by_hand]))

    def _seeded(self, seed: ViewSeed) -> Sheet:
        """Fill the sheet; this cannot be undone."""
        objects = list[SheetObject]()
        for mask in seed.masks:
            frame = mask.masklet.key_frame
            shape = self._new_shape(mask.masklet, frame)
            one = SheetObject(mask.id, mask.label, mask.source, shape, mask.score, mask.kept, mask.why, frame)
            if mask.placed:
                self._placed[one.id] = self._state(one)
            objects.append(one)
        return self._store.begin(Sheet(self.item.id, objects=tuple(objects)), seed.next_id)

    def _state(self, one: SheetObject) -> object:
        """What differs whenever the masks or the name of an object do."""
        return one.shape, one.label, tuple(self._store.frames(one.shape))

    def _new_shape(self, masklet: Masklet, frame: int) -> int:
        """A shape in the store with these masks, which a user is shown on a frame."""
        shape = self._store.new_shape()
        self._store.put_masks(shape, masklet.to_json(), shown=frame)
        return shape

    def _masklet(self, one: SheetObject) -> Masklet | None:
        width, height = self._size
        counts = self._store.masks_over_time(one.shape)
        return Masklet.from_rles({frame: {"size": [height, width], "counts": text} for frame, text in counts.items()})


def _replaced(pool: MaskPool) -> frozenset[int]:
    """The numbers that a split or merge has taken out of the pool."""
    return frozenset[int]().union(*(one.replaces for one in pool.candidates)) - frozenset(pool.ids)
