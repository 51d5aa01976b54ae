"""A clip: objects that move, with their exact visible masks on every frame."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sam3model.errors import InputError
from sam3model.playground.clip_paths import ClipEvent, ObjectPath
from sam3model.playground.clip_plan import ClipPlan, choose_frames, plan_clip
from sam3model.playground.clip_rendering import ClipPainter
from sam3model.playground.dice import Dice
from sam3model.playground.domain import PLAYGROUND, Domain
from sam3model.playground.scene import SIZES, Size

COUNT = (2, 12)
"""Minimum and maximum number of objects by default."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipObject:
    """One object of a clip; the words are those of a SceneObject and hold on every frame. `id` counts from 0."""

    id: int
    kind: str
    colour: str
    pattern: str
    size: str


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrame:
    """One frame.

    image (H, W, 3) uint8. owners (H, W) uint8: 1 + id of the visible object, 0 for the background. visible: visible
    fraction of every object's silhouette, by id; 0 when it is hidden or out of the picture.
    """

    image: np.ndarray
    owners: np.ndarray
    visible: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip of `count` frames. Making one draws nothing; the first frame draws the sprites for all of them.

    name: (split, index), the seed. size: (W, H) in pixels. rate: frames per second. paths: where every object is, by
    id. events: what happens, in order of time.
    """

    name: tuple[str, int]
    theme: str
    size: Size
    rate: float
    count: int
    objects: tuple[ClipObject, ...]
    paths: tuple[ObjectPath, ...]
    events: tuple[ClipEvent, ...]
    plan: ClipPlan = field(repr=False)
    domain: Domain = field(repr=False)

    @cached_property
    def _painter(self) -> ClipPainter:
        return ClipPainter(self.domain, self.plan, Dice(*self.name, "clip", "stage"))

    def frame(self, t: int) -> ClipFrame:
        """Frame `t`, the same whatever was drawn before.

        Raises:
            InputError: there is no such frame.
        """
        if not 0 <= t < self.count:
            raise InputError(f"frame {t} is not in this clip: choose one from 0 to {self.count - 1}")
        return ClipFrame(*self._painter.frame(t))

    def track(self, id: int) -> ObjectPath:
        """The path of the object with this id.

        Raises:
            InputError: there is no such object.
        """
        if not 0 <= id < len(self.paths):
            raise InputError(f"object {id} is not in this clip: choose one from 0 to {len(self.paths) - 1}")
        return self.paths[id]


def clip(
    split: str,
    index: int,
    *,
    size: Size | None = None,
    frames: int | None = None,
    count: tuple[int, int] | None = None,
    domain: Domain = PLAYGROUND,
) -> Clip:
    """Clip `index` of `split`: the same frames and ground truth for the same arguments.

    size: (W, H) in pixels, about 320 x 256 by default. frames: number of frames, 8 to 120 by default. count: minimum
    and maximum number of objects, 2 to 12 by default; objects that would never be seen are left out.

    Raises:
        InputError: a side below 64, less than one frame, or a count below 1 or above 200.
    """
    if (
        (size and min(size) < 64)
        or (frames is not None and frames < 1)
        or (count and not 1 <= count[0] <= count[1] <= 200)
    ):
        raise InputError(f"invalid Playground clip: size={size}, frames={frames}, count={count}")
    dice = Dice(split, index, "clip")
    theme = domain.themes[dice.weighted({theme.name: theme.weight for theme in domain.themes.values()})]
    chosen = dice.weighted(SIZES)
    width, height = size or chosen
    usual = choose_frames(dice)
    low, high = count or COUNT
    number = min(high, low + int((high - low + 1) * dice.random() ** 1.2))
    plan = plan_clip(domain, theme, (width, height), frames or usual, number, dice.child("plan"))
    objects = tuple(
        ClipObject(i, one.kind.name, one.colour, one.pattern if one.colour else "plain", one.size)
        for i, one in enumerate(plan.plans)
    )
    return Clip(
        (split, index),
        theme.name,
        (width, height),
        plan.rate,
        len(plan.light),
        objects,
        plan.paths,
        plan.events,
        plan,
        domain,
    )
