"""Synthetic ground truth and predictions of any size, for timing metrics and checking their figures.

All randomness comes from one `numpy.random.RandomState` in a fixed order, so equal arguments give equal bytes. Shapes
are ellipses, boxes, triangles and bitten ellipses; predictions are jittered shapes.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from pycocotools import mask

from sam3model.ops.masks import encode_rle

coco_mask: Any = mask
JITTER = (0.03, 0.08, 0.2, 0.4)
Json = dict[str, Any]


class Canvas(NamedTuple):
    """Width and height of an image, and the range of object sizes in pixels."""

    width: int
    height: int
    smallest: float
    largest: float

    @classmethod
    def of(cls, width: int, height: int, low: float, high: float) -> "Canvas":
        """A canvas with object sizes as fractions of the shorter side."""
        return cls(width, height, low * min(width, height), high * min(width, height))


class Shape(NamedTuple):
    """A shape: kind 0 ellipse, 1 box, 2 triangle, 3 ellipse with a bite of squared radius `bite`."""

    kind: int
    x: float
    y: float
    rx: float
    ry: float
    angle: float
    bite: float

    def pixels(self, canvas: Canvas) -> NDArray[np.uint8]:
        """Draw the shape, (height, width)."""
        image = np.zeros((canvas.height, canvas.width), np.uint8)
        reach = math.hypot(self.rx, self.ry) + 1
        left, right = max(0, int(self.x - reach)), min(canvas.width, int(self.x + reach) + 2)
        top, bottom = max(0, int(self.y - reach)), min(canvas.height, int(self.y + reach) + 2)
        if right <= left or bottom <= top:
            return image
        rows, columns = np.mgrid[top:bottom, left:right]
        dx, dy = columns + 0.5 - self.x, rows + 0.5 - self.y
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u, v = (cos * dx + sin * dy) / self.rx, (-sin * dx + cos * dy) / self.ry
        if self.kind == 1:
            inside = (abs(u) <= 0.9) & (abs(v) <= 0.9)
        elif self.kind == 2:
            inside = (v <= 0.8) & (v >= 2 * abs(u) - 1)
        else:
            inside = u * u + v * v <= 1
        if self.kind == 3:
            inside &= (u - 0.4) ** 2 + (v + 0.3) ** 2 >= self.bite
        image[top:bottom, left:right] = inside
        return image


@dataclass(frozen=True)
class EncodedMask:
    """An encoded mask with its box and area."""

    rle: Json

    @classmethod
    def of(cls, shape: Shape | None, canvas: Canvas) -> "EncodedMask | None":
        """Draw and encode a shape; None if it is absent or outside the image."""
        if shape is None:
            return None
        drawn = cls.encode(shape.pixels(canvas))
        return drawn if drawn.area else None

    @classmethod
    def encode(cls, mask: NDArray[np.uint8]) -> "EncodedMask":
        """Encode an array (height, width)."""
        return cls(encode_rle(mask))

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(coco_mask.area(self.rle))

    @cached_property
    def box(self) -> list[float]:
        """Box xywh."""
        return [float(x) for x in coco_mask.toBbox(self.rle)]


class Draws:
    """Random draws of shapes, scores and tracks."""

    def __init__(self, seed: int):
        self.state = RandomState(seed)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.state.uniform() < probability

    def chance_at_most(self, probability: float) -> bool:
        """True with this probability, including the bound."""
        return self.state.uniform() <= probability

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1."""
        return int(self.state.randint(limit))

    def pick(self, values: Iterable[float]) -> float:
        """One of the values."""
        return float(self.state.choice(list(values)))

    def shape(self, canvas: Canvas) -> Shape:
        """A new shape; sizes are log-uniform."""
        log = self.state.uniform(math.log(canvas.smallest), math.log(canvas.largest))
        radius = math.exp(log) / 2
        other = radius * self.state.uniform(0.5, 1.6)
        kind = self.below(4)
        x = self.state.uniform(0.05, 0.95) * canvas.width
        y = self.state.uniform(0.05, 0.95) * canvas.height
        return Shape(kind, x, y, radius, other, self.state.uniform(0, 3.14), self.state.uniform(0.05, 0.35))

    def jitter(self, shape: Shape, amount: float) -> Shape:
        """The shape moved, stretched and rotated, relative to its smaller radius."""
        normal, step = self.state.standard_normal, amount * min(shape.rx, shape.ry)
        x, y = shape.x + normal() * step, shape.y + normal() * step
        rx = shape.rx * math.exp(normal() * amount * 0.6)
        ry = shape.ry * math.exp(normal() * amount * 0.6)
        return shape._replace(x=x, y=y, rx=rx, ry=ry, angle=shape.angle + normal() * amount * 0.5)

    def score(self, good: bool) -> float:
        """A score, higher on average for good predictions."""
        return round(float(1 / (1 + math.exp(-(self.state.standard_normal() * 1.2 + (1.6 if good else -0.9))))), 4)

    def track(self, shape: Shape, frames: int, canvas: Canvas) -> list[Shape | None]:
        """The shape drifting, swaying and changing size; it may appear late, leave early or be absent for a while."""
        side = min(canvas.width, canvas.height)
        vx, vy = self.state.standard_normal(2) * 0.01 * side
        sway, phase = self.state.uniform(0, 0.05) * side, self.state.uniform(0, 6)
        presence = self.state.uniform()
        start = int(self.state.randint(0, max(1, frames // 3))) if presence < 0.35 else 0
        late = max(start + 2, 2 * frames // 3)
        end = int(self.state.randint(late, frames + 1)) if 0.25 < presence < 0.6 else frames
        gap = range(0)
        if self.chance(0.25) and end - start > 5:
            away = int(self.state.randint(start + 1, end - 3))
            gap = range(away, min(end - 1, away + 1 + self.below(max(1, frames // 5))))

        def at(t: int) -> Shape | None:
            if not start <= t < end or t in gap:
                return None
            x, y = shape.x + vx * t + sway * math.sin(0.5 * t + phase), shape.y + vy * t
            size = 1 + 0.15 * math.sin(0.3 * t + phase)
            return shape._replace(x=x, y=y, rx=shape.rx * size, ry=shape.ry * size, angle=shape.angle + 0.03 * t)

        return [at(t) for t in range(frames)]


def write_json(value: Any, path: Path) -> None:
    """Write compact JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":")))
