"""Drawing of sprites in units of their own box, enlarged for antialiasing; the body has the colour and pattern."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from sam3model.playground.dice import Dice
from sam3model.playground.palette import RGB, tint, tone

Points = Sequence[tuple[float, float]]
CLEAR = (0, 0, 0, 0)
POSES = 6
"""Drawings in one cycle of a gait, numbered from 1; 0 is standing."""


@dataclass(frozen=True, slots=True)
class Look:
    """Appearance of an object: colour of its body, and ink and name of its pattern."""

    colour: RGB
    ink: RGB
    pattern: str


@dataclass
class Pen:
    """A canvas of `width` x `height` units at `zoom` pixels per unit. Shapes without a fill belong to the body.

    pose: step of a gait for kinds that have one, 0 if they stand; None in still scenes, where the dice choose.
    """

    width: float
    height: float
    zoom: float
    look: Look
    dice: Dice
    pose: int | None = None
    image: Image.Image = field(init=False)
    _draw: ImageDraw.ImageDraw = field(init=False)
    _body: ImageDraw.ImageDraw | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        size = (round(self.width * self.zoom) + 2, round(self.height * self.zoom) + 2)
        self.image = Image.new("RGBA", size, CLEAR)
        self._draw = ImageDraw.Draw(self.image)
        if self.look.pattern != "plain":
            self._mask = Image.new("L", size, 0)
            self._body = ImageDraw.Draw(self._mask)

    def swing(self, shift: float = 0.0) -> float:
        """Swing of a limb, -1 to 1, `shift` cycles ahead of the gait; 0 without a gait and while standing."""
        return sin(2 * pi * ((self.pose - 1) / POSES + shift)) if self.pose else 0.0

    def beat(self) -> float:
        """Beat of a wing: 1 raised, and always so without a gait, -1 lowered."""
        return cos(2 * pi * (self.pose - 1) / POSES) if self.pose else 1.0

    @property
    def colour(self) -> RGB:
        """The body's colour."""
        return self.look.colour

    def dark(self, factor: float = 0.78) -> RGB:
        """The body's colour, darkened."""
        return tone(self.look.colour, factor)

    def light(self, fraction: float = 0.3) -> RGB:
        """The body's colour, lightened."""
        return tint(self.look.colour, fraction)

    def _fills(self, fill: tuple[int, ...] | None) -> list[tuple[ImageDraw.ImageDraw, tuple[int, ...] | int]]:
        targets: list[tuple[ImageDraw.ImageDraw, tuple[int, ...] | int]] = [(self._draw, fill or self.look.colour)]
        if self._body is not None:
            targets.append((self._body, 255 if fill is None else 0))
        return targets

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> list[float]:
        return [x0 * self.zoom, y0 * self.zoom, x1 * self.zoom, y1 * self.zoom]

    def oval(self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...] | None = None) -> None:
        """Ellipse in a box."""
        for draw, paint in self._fills(fill):
            draw.ellipse(self._box(x0, y0, x1, y1), paint)

    def disc(self, x: float, y: float, radius: float, fill: tuple[int, ...] | None = None) -> None:
        """Circle around a centre."""
        self.oval(x - radius, y - radius, x + radius, y + radius, fill)

    def rect(
        self, x0: float, y0: float, x1: float, y1: float, fill: tuple[int, ...] | None = None, radius: float = 0
    ) -> None:
        """Rectangle, its corners rounded by `radius` units."""
        for draw, paint in self._fills(fill):
            draw.rounded_rectangle(self._box(x0, y0, x1, y1), radius * self.zoom, paint)

    def poly(self, points: Points, fill: tuple[int, ...] | None = None) -> None:
        """Polygon."""
        scaled = [(x * self.zoom, y * self.zoom) for x, y in points]
        for draw, paint in self._fills(fill):
            draw.polygon(scaled, paint)

    def blob(self, points: Points, fill: tuple[int, ...] | None = None) -> None:
        """Smooth closed curve through the points."""
        self.poly(smooth(tuple(points)), fill)

    def line(self, points: Points, width: float, fill: tuple[int, ...] | None = None) -> None:
        """Stroke with round joints and ends."""
        scaled = [(x * self.zoom, y * self.zoom) for x, y in points]
        radius = width * self.zoom / 2
        for draw, paint in self._fills(fill):
            draw.line(scaled, paint, max(1, round(2 * radius)), "curve")
            for x, y in (scaled[0], scaled[-1]):
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], paint)

    def pie(
        self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: tuple[int, ...] | None = None
    ) -> None:
        """Slice of an ellipse, degrees clockwise from three o'clock."""
        for draw, paint in self._fills(fill):
            draw.pieslice(self._box(x0, y0, x1, y1), start, end, paint)

    def finish(self) -> Image.Image:
        """The finished sprite, with the pattern drawn over the body."""
        if self.look.pattern != "plain":
            ink = _stripes if self.look.pattern == "striped" else _dots
            size = self.image.size
            cover = np.minimum(
                np.asarray(self._mask), ink(size, 11 * self.dice.uniform(0.9, 1.2) * self.zoom, self.dice)
            )
            self.image.paste(self.look.ink, (0, 0), Image.fromarray(cover))
        return self.image


def _stripes(size: tuple[int, int], period: float, dice: Dice) -> np.ndarray:
    slope = dice.pick((0.0, 0.0, 0.6, -0.6))
    across = dice.chance(0.5)
    x = np.arange(size[0], dtype=np.float32)[None, :]
    y = np.arange(size[1], dtype=np.float32)[:, None]
    phase = (y + slope * x) if across else (x + slope * y)
    return ((phase / (1.5 * period) % 1.0 < 0.4) * np.uint8(255)).astype(np.uint8)


def _dots(size: tuple[int, int], period: float, dice: Dice) -> np.ndarray:
    step = 1.45 * period
    x = np.arange(size[0], dtype=np.float32)[None, :] + dice.uniform(0, step)
    y = np.arange(size[1], dtype=np.float32)[:, None] + dice.uniform(0, step)
    row = np.floor(y / (0.86 * step))
    dx = (x / step + 0.5 * (row % 2)) % 1.0 - 0.5
    dy = (y / (0.86 * step)) % 1.0 - 0.5
    return ((dx * dx + 0.74 * dy * dy < 0.075) * np.uint8(255)).astype(np.uint8)


@lru_cache(maxsize=1024)
def smooth(points: tuple[tuple[float, float], ...], steps: int = 6) -> list[tuple[float, float]]:
    """A closed Catmull-Rom curve through the points."""
    curve = []
    count = len(points)
    for i in range(count):
        a, b, c, d = (points[(i + j - 1) % count] for j in range(4))
        for k in range(steps):
            t = k / steps
            curve.append(
                tuple(
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t**3)
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
            )
    return curve
