"""The sheet of an item: its objects, whether it is accepted, and what can be undone. Immutable values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sam3agent.masks import Mask, Masklet
from sam3agent.render.palette import colour_of

ObjectSource = Literal["phrase", "question", "click", "box", "example", "paint"]

Click = tuple[float, float, int]
"""x, y in pixels, and 1 on the object or 0 beside it."""

SAME_OBJECT_IOU = 0.8
"""A mask that overlaps an object with the same label this much is that object."""


@dataclass(frozen=True, slots=True)
class SheetObject:
    """One object of an item.

    kept: whether it is part of the result; rejected objects stay in sight with the reason, `why`. shape: where the
    store has its masks. frame: the frame that it was found on. clicks: by frame, those that its mask there follows.
    """

    id: int
    label: str
    source: ObjectSource
    shape: int
    score: float = 1.0
    kept: bool = True
    why: str = ""
    frame: int = 0
    clicks: Mapping[str, Sequence[Click]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON values, as the store and the page read them."""
        red, green, blue = colour_of(self.id)
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        return {**asdict(self), "score": round(self.score, 4), "colour": colour}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "SheetObject":
        """The inverse of `to_json`."""
        return cls(**{name: value for name, value in values.items() if name != "colour"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """The state of an item. version: rises with every change. undo, redo: what they would change, None for nothing."""

    item: str
    version: int = 0
    objects: tuple[SheetObject, ...] = ()
    accepted: bool = False
    undo: str | None = None
    redo: str | None = None

    def get(self, object_id: int) -> SheetObject | None:
        """The object with an id; None if there is none."""
        return next((one for one in self.objects if one.id == object_id), None)

    def with_object(self, changed: SheetObject) -> "Sheet":
        """The sheet with one object replaced, or added."""
        if self.get(changed.id) is None:
            return replace(self, objects=(*self.objects, changed))
        return replace(self, objects=tuple(changed if one.id == changed.id else one for one in self.objects))

    def without(self, object_ids: Iterable[int]) -> "Sheet":
        """The sheet without some objects."""
        gone = set(object_ids)
        return replace(self, objects=tuple(one for one in self.objects if one.id not in gone))

    @property
    def kept(self) -> tuple[SheetObject, ...]:
        """The objects of the result."""
        return tuple(one for one in self.objects if one.kept)


@dataclass(frozen=True, eq=False, slots=True)
class FoundMask:
    """What a phrase, a question or an example found. masklet: its masks. frame: the one of them it was found on."""

    masklet: Masklet
    label: str
    source: ObjectSource
    score: float
    kept: bool
    why: str
    frame: int = 0


def iou(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks of one size."""
    shared = one.intersection(other)
    return shared / (one.area + other.area - shared)
