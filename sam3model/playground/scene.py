"""A scene: its objects, where they stand, and their exact visible masks."""

from dataclasses import dataclass

import numpy as np

from sam3model.errors import InputError
from sam3model.playground.dice import Dice
from sam3model.playground.domain import PLAYGROUND, Domain
from sam3model.playground.scene_plan import ObjectPlan, plan_objects
from sam3model.playground.sprite_rendering import Light, Sprite, draw, expose, look_of, paint
from sam3model.playground.themes import Theme

Box = tuple[int, int, int, int]
Size = tuple[int, int]

SIZES: dict[Size, float] = {(320, 256): 5, (288, 256): 2, (256, 256): 2, (352, 256): 2, (256, 288): 1}
MIN_VISIBLE = 0.56
"""Minimum visible fraction of an object."""
ATTEMPTS = 18


@dataclass(frozen=True, slots=True, eq=False)
class SceneObject:
    """One object in a scene.

    id: also its depth; 0 is nearest, and an object only hides objects with larger ids.
    colour: a colour word of the domain, or "" if none applies. pattern: plain, striped or dotted.
    size: small, medium or large for its kind. mask (H, W) bool: its visible pixels. box: x0, y0, x1, y1 of the mask in
    pixels, exclusive ends. area: number of visible pixels. visible: visible fraction of its silhouette.
    hidden_by: ids of the objects that cover at least 8 % of it.
    """

    id: int
    kind: str
    colour: str
    pattern: str
    size: str
    mask: np.ndarray
    box: Box
    area: int
    visible: float
    hidden_by: tuple[int, ...]

    @property
    def center(self) -> tuple[float, float]:
        """Centre of the box, x and y in pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image (H, W, 3) uint8 and its objects, nearest first; `name` is (split, index), the seed of both."""

    name: tuple[str, int]
    theme: str
    image: np.ndarray
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    plan: ObjectPlan
    sprite: Sprite
    left: int
    top: int
    visible: float
    hidden_by: tuple[int, ...]


def scene(
    split: str,
    index: int,
    *,
    size: Size | None = None,
    count: tuple[int, int] | None = None,
    scale: int = 1,
    domain: Domain = PLAYGROUND,
) -> Scene:
    """Scene `index` of `split`: the same image and ground truth for the same arguments.

    size: (W, H) of the canvas in pixels, about 320 x 256 by default. count: minimum and maximum number of objects, 1 to
    15 by default; a small canvas shows fewer if they do not fit. scale: image pixels per canvas pixel.

    Raises:
        InputError: a canvas side below 64, or a count or scale below 1.
    """
    if (size and min(size) < 64) or (count and not 1 <= count[0] <= count[1]) or scale < 1:
        raise InputError(f"invalid Playground scene: size={size}, count={count}, scale={scale}")
    dice = Dice(split, index)
    theme = domain.themes[dice.weighted({theme.name: theme.weight for theme in domain.themes.values()})]
    width, height = dice.weighted(SIZES)
    width, height = size or (width, height)
    low, high = count or (1, 15)
    number = min(high, low + int((high - low + 1) * dice.random() ** 1.2))
    plans = plan_objects(domain, theme, number, min(width, height), dice.child("things"))
    canvas = (width * scale, height * scale)
    placed, owners = _place(domain, plans, canvas, scale)
    image = _render(domain, theme, placed, canvas, dice.child("light"))
    return Scene((split, index), theme.name, image, tuple(_object(i, owners, item) for i, item in enumerate(placed)))


def _place(domain: Domain, plans: list[ObjectPlan], canvas: Size, scale: int) -> tuple[list[_Placed], np.ndarray]:
    """Place the objects from the nearest to the farthest; owners (H, W) holds 1 + the index of the visible object."""
    owners = np.zeros((canvas[1], canvas[0]), np.uint8)
    placed: list[_Placed] = []
    for plan in plans:
        zoom = plan.factor * scale * plan.kind.pixels / max(plan.kind.box)
        sprite = draw(plan.kind, look_of(plan, domain.colours, plan.dice), zoom, plan.dice)
        item = _find_room(plan, sprite, owners, placed)
        if item is None:
            continue
        placed.append(item)
        height, width = sprite.solid.shape
        part = owners[item.top : item.top + height, item.left : item.left + width]
        part[sprite.solid & (part == 0)] = len(placed)
    return placed, owners


def _find_room(plan: ObjectPlan, sprite: Sprite, owners: np.ndarray, placed: list[_Placed]) -> _Placed | None:
    height, width = sprite.solid.shape
    spare = owners.shape[1] - width, owners.shape[0] - height
    if min(spare) < 0:
        return None
    total = np.count_nonzero(sprite.solid)
    tucked = bool(placed) and plan.dice.chance(0.35)
    for attempt in range(ATTEMPTS):
        left = round(plan.dice.uniform(0, spare[0]))
        if tucked and attempt < ATTEMPTS // 2:
            other = plan.dice.pick(placed)
            middle = other.left + other.sprite.solid.shape[1] / 2 - width / 2
            left = round(max(0, min(spare[0], middle + plan.dice.uniform(-0.8, 0.8) * width)))
        y = plan.y + plan.dice.uniform(-0.012, 0.012) if plan.y < 0.97 else plan.y
        top = round(max(0, min(spare[1], y * owners.shape[0] - height)))
        part = owners[top : top + height, left : left + width]
        covers = np.bincount(part[sprite.solid], minlength=len(placed) + 1)
        visible = covers[0] / total
        if visible >= (MIN_VISIBLE if tucked or attempt > 6 else 0.9):
            hidden_by = tuple(int(i) - 1 for i in np.flatnonzero(covers >= 0.08 * total) if i)
            return _Placed(plan, sprite, left, top, float(visible), hidden_by)
    return None


def _render(domain: Domain, theme: Theme, placed: list[_Placed], canvas: Size, dice: Dice) -> np.ndarray:
    warm = dice.uniform(-0.035, 0.045)
    level = dice.uniform(0.94, 1.03)
    shadow = dice.uniform(0.26, 0.42) if theme.shadows else 0.0
    light = Light((level * (1 + warm), level, level * (1 - warm)), dice.uniform(0, 0.15), shadow, not theme.horizon)
    image = np.asarray(domain.painters[theme.name](canvas, theme.horizon, dice), np.float32)
    for item in reversed(placed):
        paint(image, item.sprite, item.left, item.top, light, item.plan.kind.grounded)
    return expose(image, light)


def _object(index: int, owners: np.ndarray, item: _Placed) -> SceneObject:
    mask = owners == index + 1
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    plan = item.plan
    pattern = plan.pattern if plan.colour else "plain"
    return SceneObject(
        index, plan.kind.name, plan.colour, pattern, plan.size, mask, box, int(mask.sum()), item.visible, item.hidden_by
    )
