"""The shifted domain: drawn like Playground, but with objects, colours and themes that Playground does not have.

Fine-tuning is tested on it: `SHIFTED` for `scene`, or a COCO folder written by `playground.export`.
"""

from functools import partial

from PIL import Image, ImageDraw

from sam3model.playground import sprites_shifted as sprites
from sam3model.playground.backgrounds import Size, bands, overlay
from sam3model.playground.dice import Dice
from sam3model.playground.domain import Domain
from sam3model.playground.kinds import Kind
from sam3model.playground.palette import RGB, mix, tint, tone
from sam3model.playground.themes import Theme

COLOURS: dict[str, RGB] = {
    "teal": (20, 148, 150),
    "magenta": (218, 30, 140),
    "beige": (224, 198, 158),
    "maroon": (136, 12, 56),
}

_kind = partial(Kind, colours=tuple(COLOURS))
_KINDS = (
    _kind("robot", "robots", sprites.robot, (76, 100), 80, tilt=5),
    _kind("octopus", "octopuses", sprites.octopus, (96, 96), 68, tilt=8, grounded=False),
    _kind("anchor", "anchors", sprites.anchor, (80, 100), 66, tilt=25),
    _kind("guitar", "guitars", sprites.guitar, (52, 100), 82, tilt=25),
    _kind("key", "keys", sprites.key, (100, 44), 62, tilt=40),
    _kind("snail", "snails", sprites.snail, (100, 74), 62),
    _kind("crab", "crabs", sprites.crab, (100, 78), 64),
    _kind("spaceship", "spaceships", sprites.spaceship, (100, 56), 78, tilt=12, grounded=False),
)

_THEMES = (
    Theme("night", 1.0, {"spaceship": 4, "robot": 2.5, "key": 1, "guitar": 1.5}, ("maroon",), shadows=False),
    Theme("paper", 1.2, dict.fromkeys((kind.name for kind in _KINDS), 1.0), ("beige",)),
    Theme("floor", 1.0, {"octopus": 3, "crab": 3, "anchor": 2, "snail": 2, "key": 1}, ("teal",), 0.42),
    Theme("board", 0.8, dict.fromkeys((kind.name for kind in _KINDS), 1.0)),
)


def _night(size: Size, horizon: float, dice: Dice) -> Image.Image:
    """A starry sky with a band of light."""
    top, low = dice.pick((((16, 20, 52), (58, 50, 104)), ((12, 26, 48), (36, 78, 104)), ((26, 16, 50), (88, 50, 98))))
    image = bands(size, [(0, top), (1, low)], dice, 7)
    slope, height = dice.uniform(-0.5, 0.5), dice.uniform(0.25, 0.75)
    stars = [(dice.random(), dice.random(), dice.uniform(0.5, 1.5)) for _ in range(110)]

    def band(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for i in range(1, 9):
            reach = 0.18 * (1 - i / 9)
            corners = ((0, -reach), (1, -0.6 * reach), (1, 0.6 * reach), (0, reach))
            draw.polygon([(x * w, (height + slope * (x - 0.5) + y) * h) for x, y in corners], 32 * i - 1)

    def sparks(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, y, radius in stars:
            reach = radius * h / 250
            draw.ellipse([x * w - reach, y * h - reach, x * w + reach, y * h + reach], 255)

    overlay(image, band, 0.16, (230, 220, 255))
    overlay(image, sparks, 0.9, (255, 250, 226))
    return image


def _paper(size: Size, horizon: float, dice: Dice) -> Image.Image:
    """Graph paper with a red margin."""
    sheet = dice.pick(((250, 250, 244), (244, 248, 250), (250, 246, 236)))
    ink = dice.pick(((150, 190, 222), (160, 204, 176), (190, 184, 216)))
    image = bands(size, [(0, sheet), (1, tone(sheet, 0.97))], dice, 1.5)
    step = dice.uniform(0.045, 0.075)
    shift = (dice.uniform(0, step), dice.uniform(0, step))

    def grid(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for i in range(int(1.5 * w / (step * h)) + 1):
            thick = 3 if i % 5 == 0 else 1
            x, y = (shift[0] + i * step) * h, (shift[1] + i * step) * h
            draw.line([(x, 0), (x, h)], 255, thick)
            draw.line([(0, y), (w, y)], 255, thick)

    def margin(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        draw.line([(0.09 * w, 0), (0.09 * w, h)], 255, 4)

    overlay(image, grid, 0.8, ink)
    overlay(image, margin, 0.6, (232, 120, 126))
    return image


def _floor(size: Size, horizon: float, dice: Dice) -> Image.Image:
    """The sea floor: sand below, weeds, and light from above."""
    water = dice.pick(((40, 112, 158), (50, 98, 150), (58, 124, 148)))
    sand = dice.pick(((206, 190, 146), (190, 180, 150), (214, 196, 160)))
    top = horizon + 0.04
    stops = [(0, tint(water, 0.45)), (top - 0.02, water), (top + 0.02, mix(water, sand, 0.55)), (1, sand)]
    image = bands(size, stops, dice, 4)
    rays = [(dice.uniform(-0.1, 1.0), dice.uniform(0.03, 0.09)) for _ in range(5)]
    weeds = [(dice.random(), dice.uniform(0.1, 0.26), dice.uniform(-0.03, 0.03)) for _ in range(12)]
    bubbles = [(dice.random(), dice.uniform(0, 0.9), dice.uniform(0.004, 0.013)) for _ in range(16)]

    def beams(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, reach in rays:
            draw.polygon([(x * w, 0), ((x + reach) * w, 0), ((x + 2.4 * reach + 0.1) * w, h), ((x + 0.1) * w, h)], 255)

    def stalks(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, tall, sway in weeds:
            path = [((x + sway * (i % 2) * i / 4) * w, (top + 0.03 - tall * i / 4) * h) for i in range(5)]
            draw.line(path, 255, max(3, h // 70), "curve")

    def air(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, y, reach in bubbles:
            draw.ellipse([x * w - reach * h, (y - reach) * h, x * w + reach * h, (y + reach) * h], None, 255, 3)

    overlay(image, beams, 0.09, (240, 250, 255))
    overlay(image, stalks, 0.55, mix(water, (30, 110, 70), 0.7))
    overlay(image, air, 0.5, (232, 248, 255))
    return image


def _board(size: Size, horizon: float, dice: Dice) -> Image.Image:
    """A table of diagonal tiles in two near tones."""
    dark = dice.pick(((150, 160, 168), (168, 176, 150), (176, 160, 166)))
    image = bands(size, [(0, tint(dark, 0.3)), (1, tint(dark, 0.16))], dice, 2)
    step = dice.uniform(0.14, 0.22)

    def tiles(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        side = step * h
        for row in range(int(2 * h / side) + 3):
            for column in range(int(w / side) + 2):
                x, y = (column + 0.5 * (row % 2)) * side, 0.5 * row * side
                if row % 2:
                    draw.polygon([(x - side / 2, y), (x, y - side / 2), (x + side / 2, y), (x, y + side / 2)], 255)

    overlay(image, tiles, 0.5, dark)
    return image


SHIFTED = Domain(
    kinds={kind.name: kind for kind in _KINDS},
    colours=COLOURS,
    themes={theme.name: theme for theme in _THEMES},
    painters={"night": _night, "paper": _paper, "floor": _floor, "board": _board},
)
