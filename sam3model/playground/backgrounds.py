"""Backgrounds: textured gradients with a few theme details, none of which is an object of any kind."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from sam3model.playground.dice import Dice
from sam3model.playground.palette import RGB, mix, tint, tone

Size = tuple[int, int]
Painter = Callable[[Size, float, Dice], Image.Image]
"""Paints an empty background of size (W, H); the horizon is a fraction of the height."""


def bands(size: Size, stops: list[tuple[float, RGB]], dice: Dice, texture: float = 3.0) -> Image.Image:
    """Vertical gradient through the stops with smooth blotches; rendered small and enlarged."""
    height = max(2, size[1] // 4)
    y = np.linspace(0, 1, height)
    column = np.stack([np.interp(y, [at for at, _ in stops], [c[i] for _, c in stops]) for i in range(3)], -1)
    noise = np.random.Generator(np.random.PCG64(dice.seed)).random((max(2, height // 8), 14)).astype(np.float32) - 0.5
    blotches = Image.fromarray(noise).resize((max(2, size[0] // 4), height), Image.Resampling.BICUBIC)
    field = column[:, None, :] + (2 * texture) * np.asarray(blotches)[:, :, None]
    return Image.fromarray(field.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def overlay(
    image: Image.Image, paint: Callable[[ImageDraw.ImageDraw, int, int], None], strength: float, ink: RGB
) -> None:
    """Paste `ink` through an antialiased mask drawn at twice the size."""
    width, height = image.size
    mask = Image.new("L", (2 * width, 2 * height), 0)
    paint(ImageDraw.Draw(mask), 2 * width, 2 * height)
    image.paste(ink, (0, 0), mask.reduce(2).point([round(v * strength) for v in range(256)]))


def _pitch(size: Size, horizon: float, dice: Dice) -> Image.Image:
    grass = dice.pick(((96, 164, 82), (84, 154, 78), (108, 168, 84)))
    crowd = dice.pick(((86, 98, 126), (104, 112, 132), (96, 92, 116)))
    top = horizon - 0.14
    image = bands(
        size,
        [(0, tint(crowd, 0.25)), (top - 0.005, crowd), (top + 0.005, tone(grass, 0.9)), (1, tint(grass, 0.06))],
        dice,
        2,
    )
    sway = dice.uniform(-0.4, 0.4)

    def mown(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for i in range(-8, 12, 2):
            x0, x1 = w * (0.5 + (i - 1) * 0.07 + sway * 0.2), w * (0.5 + i * 0.07 + sway * 0.2)
            far = [(x1, top * h), (x0, top * h)]
            near = [(w / 2 + (x - w / 2) * 2.4, h) for x in (x0, x1)]
            draw.polygon(far + near, 255)

    def lines(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        thick = max(2, h // 110)
        draw.line([(0, (top + 0.07) * h), (w, (top + 0.07) * h)], 255, thick)
        middle = w * (0.5 + sway)
        draw.line([(middle, (top + 0.07) * h), (middle + sway * w * 0.6, h)], 255, thick)
        reach = 0.17 * w
        y = (0.62 + 0.1 * horizon) * h
        draw.ellipse([middle - reach, y - 0.3 * reach, middle + reach * 1.1, y + 0.42 * reach], None, 255, thick)

    def stands(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for row in (0.3, 0.55, 0.8):
            draw.rectangle([0, row * top * h, w, row * top * h + max(2, h // 60)], 255)
        draw.rectangle([0, 0.9 * top * h, w, top * h], 255)

    _crowd(image, round(0.9 * top * size[1]), dice)
    overlay(image, mown, 0.10, (255, 255, 220))
    overlay(image, lines, 0.8, (246, 250, 244))
    overlay(image, stands, 0.25, (235, 238, 246))
    return image


def _crowd(image: Image.Image, height: int, dice: Dice) -> None:
    """Rows of blurred specks, like a full stand seen from far away."""
    noise = np.random.Generator(np.random.PCG64(dice.seed + 1)).random((11, 84, 4))
    specks = 255 * (0.65 * noise[..., :1] + 0.35 * noise[..., 1:])
    rows = Image.fromarray(specks.astype(np.uint8)).resize((image.width, height), Image.Resampling.BICUBIC)
    box = (0, 0, image.width, height)
    image.paste(Image.blend(image.crop(box), rows, 0.2), box)


def _street(size: Size, horizon: float, dice: Dice) -> Image.Image:
    air = dice.pick(((206, 224, 238), (246, 222, 200), (214, 220, 232)))
    hedge = dice.pick(((146, 162, 148), (168, 160, 156), (160, 168, 178)))
    road = dice.pick(((134, 138, 146), (146, 144, 146), (124, 130, 140)))
    walk = horizon - 0.04
    stops = [(0, tone(air, 0.94)), (walk - 0.12, air), (walk - 0.11, hedge), (walk, tone(hedge, 0.92))]
    stops += [
        (walk + 0.01, (206, 200, 192)),
        (horizon + 0.07, (196, 190, 184)),
        (horizon + 0.08, road),
        (1, tone(road, 0.94)),
    ]
    image = bands(size, stops, dice, 2.5)
    shift = dice.uniform(0, 0.2)

    def dashes(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        y, thick = (horizon + 0.30) * h, max(3, h // 60)
        for i in range(6):
            x = (i * 0.22 - shift) * w
            draw.rectangle([x, y, x + 0.12 * w, y + thick], 255)

    overlay(image, dashes, 0.75, (238, 236, 224))
    return image


def _sea(size: Size, horizon: float, dice: Dice) -> Image.Image:
    air = dice.pick(((190, 222, 240), (250, 214, 186), (214, 216, 238)))
    water = dice.pick(((78, 160, 190), (92, 168, 184), (84, 148, 186)))
    top = horizon - 0.1
    image = bands(
        size,
        [(0, tone(air, 0.93)), (top, tint(air, 0.25)), (top + 0.01, tint(water, 0.25)), (1, tone(water, 0.84))],
        dice,
        3,
    )
    waves = [(dice.uniform(0, 1), dice.uniform(top + 0.05, 1), dice.uniform(0.04, 0.14)) for _ in range(16)]

    def glints(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, y, reach in waves:
            draw.ellipse([(x - reach) * w, y * h, (x + reach) * w, y * h + max(3, h * 0.009 * (0.6 + y))], 255)

    overlay(image, glints, 0.3, (236, 250, 255))
    return image


def _sky(size: Size, horizon: float, dice: Dice) -> Image.Image:
    top, low = dice.pick(
        (
            ((122, 180, 228), (212, 234, 246)),
            ((150, 190, 226), (250, 226, 206)),
            ((126, 150, 206), (246, 208, 206)),
            ((146, 202, 220), (232, 244, 240)),
        )
    )
    return bands(size, [(0, top), (1, low)], dice, 5)


def _room(size: Size, horizon: float, dice: Dice) -> Image.Image:
    wall = dice.pick(((226, 214, 196), (206, 218, 216), (220, 206, 212), (214, 218, 228), (232, 224, 206)))
    floor = dice.pick(((190, 154, 118), (172, 138, 108), (198, 172, 142), (180, 176, 172)))
    edge = horizon - 0.06
    stops = [(0, tone(wall, 0.96)), (edge - 0.03, wall), (edge - 0.025, (244, 240, 232)), (edge, (228, 222, 212))]
    image = bands(size, [*stops, (edge + 0.005, tone(floor, 0.86)), (1, floor)], dice, 2.5)
    rug = dice.uniform(0.3, 0.7)

    def panels(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for i in range(1, 10):
            draw.line([(i * 0.1 * w, 0), (i * 0.1 * w, (edge - 0.03) * h)], 255, max(2, w // 300))

    def boards(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for i in range(-10, 22):
            x = i * 0.09 * w
            draw.line([(x, edge * h), (w / 2 + (x - w / 2) * 1.8, h)], 255, max(2, w // 320))

    def carpet(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        middle = (edge + 1) / 2
        draw.ellipse([(rug - 0.36) * w, (middle - 0.16) * h, (rug + 0.36) * w, (middle + 0.18) * h], 255)

    overlay(image, panels, 0.10, tone(wall, 0.6))
    overlay(image, boards, 0.16, tone(floor, 0.5))
    if dice.chance(0.5):
        overlay(image, carpet, 0.5, mix(wall, dice.pick(((150, 170, 190), (190, 150, 150), (160, 180, 150))), 0.6))
    return image


def _land(size: Size, horizon: float, dice: Dice, air: tuple[RGB, RGB], ground: RGB, hill: RGB) -> Image.Image:
    top = horizon - 0.08
    image = bands(size, [(0, air[0]), (top, air[1]), (top + 0.01, tone(ground, 0.94)), (1, ground)], dice, 4)
    humps = [(dice.uniform(-0.1, 1.1), dice.uniform(0.2, 0.4), dice.uniform(0.06, 0.16)) for _ in range(4)]

    def hills(draw: ImageDraw.ImageDraw, w: int, h: int) -> None:
        for x, reach, rise in humps:
            draw.pieslice([(x - reach) * w, (top - rise) * h, (x + reach) * w, (top + rise) * h], 180, 360, 255)

    overlay(image, hills, 0.75, hill)
    return image


def _meadow(size: Size, horizon: float, dice: Dice) -> Image.Image:
    air = dice.pick((((176, 214, 240), (228, 242, 248)), ((198, 216, 238), (252, 232, 210))))
    return _land(
        size, horizon, dice, air, dice.pick(((150, 194, 110), (164, 196, 114), (136, 186, 112))), (132, 172, 132)
    )


def _desert(size: Size, horizon: float, dice: Dice) -> Image.Image:
    air = dice.pick((((170, 208, 232), (246, 234, 214)), ((206, 200, 222), (252, 222, 196))))
    return _land(
        size, horizon, dice, air, dice.pick(((232, 204, 154), (226, 196, 150), (236, 212, 170))), (214, 178, 140)
    )


def _studio(size: Size, horizon: float, dice: Dice) -> Image.Image:
    paper = dice.pick(
        (
            (226, 222, 214),
            (208, 218, 226),
            (232, 216, 208),
            (214, 224, 212),
            (222, 214, 228),
            (196, 200, 208),
            (238, 228, 204),
        )
    )
    return bands(size, [(0, tone(paper, 0.93)), (0.62, tint(paper, 0.3)), (1, tone(paper, 0.9))], dice, 2)


PAINTERS: dict[str, Painter] = {
    "pitch": _pitch,
    "street": _street,
    "sea": _sea,
    "sky": _sky,
    "room": _room,
    "meadow": _meadow,
    "desert": _desert,
    "studio": _studio,
    "shapes": _studio,
}


@lru_cache(maxsize=32)
def vignette(size: Size) -> np.ndarray:
    """Squared distance from the image centre, (H, W, 1) float32; 1 in the corners."""
    x = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    return ((x * x + y * y) / 2)[:, :, None]
