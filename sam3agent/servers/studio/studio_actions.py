"""What a page can do to an item: the body of each request, checked, and what it calls. The same for every transport."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_following import FollowDesk
from sam3agent.servers.studio.studio_painting import painted
from sam3model.untrusted import clean_line

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
FrameNumber = Annotated[int, Field(ge=0, lt=1 << 31)]
ItemId = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
Words = Annotated[str, Field(max_length=4000), AfterValidator(clean_line)]
PixelBox = tuple[Coordinate, Coordinate, Coordinate, Coordinate]


class Addressed(BaseModel):
    """What names an item, and a frame of it."""

    model_config = ConfigDict(extra="forbid")

    item: ItemId
    frame: FrameNumber = 0


class _Find(Addressed):
    phrases: list[Words] = Field(max_length=16)


class _Like(Addressed):
    boxes: list[PixelBox] = Field(min_length=1, max_length=16)
    label: Words = ""


class _Click(Addressed):
    object: int | None = None
    click: tuple[Coordinate, Coordinate, Annotated[int, Field(ge=0, le=1)]] | None = None
    box: PixelBox | None = None
    label: Words = ""


class _Paint(Addressed):
    object: int | None = None
    stroke: list[tuple[Coordinate, Coordinate]] = Field(min_length=1, max_length=20_000)
    radius: Annotated[float, Field(gt=0, le=2000)]
    add: bool = True
    label: Words = ""


class _Edit(Addressed):
    objects: list[int] = Field(min_length=1, max_length=10_000)
    label: Words | None = None
    kept: bool | None = None


class _Remove(Addressed):
    objects: list[int] = Field(min_length=1, max_length=10_000)


class _Accept(Addressed):
    accepted: bool


class Asking(Addressed):
    """A question about an item."""

    question: Words


class _Follow(Addressed):
    backward: bool = False


def changes(engine: StudioEngine, follow: FollowDesk) -> dict[str, tuple[type[Any], Callable[[Any], Any]]]:
    """By name: the model of the body, and the function that does it and returns what the page shows then."""
    return {
        "find": (_Find, lambda b: engine.find(b.item, b.phrases, b.frame)),
        "like": (_Like, lambda b: engine.find_like(b.item, b.boxes, b.label, b.frame)),
        "click": (_Click, lambda b: engine.click(b.item, b.object, b.click, b.box, b.label, b.frame)),
        "paint": (_Paint, lambda b: painted(engine, b.item, b.object, b.stroke, b.radius, b.add, b.label, b.frame)),
        "edit": (_Edit, lambda b: engine.edit(b.item, b.objects, b.label, b.kept, b.frame)),
        "remove": (_Remove, lambda b: engine.remove(b.item, b.objects, b.frame)),
        "accept": (_Accept, lambda b: engine.accept(b.item, b.accepted, b.frame)),
        "undo": (Addressed, lambda b: engine.step(b.item, -1, b.frame)),
        "redo": (Addressed, lambda b: engine.step(b.item, 1, b.frame)),
        "warm": (Addressed, lambda b: {"notice": engine.warm(b.item)}),
        "follow": (_Follow, lambda b: follow.start(b.item, b.frame, backward=b.backward)),
    }
