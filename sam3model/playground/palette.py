"""The ten colour words and their RGB values, with slight natural variation."""

from collections.abc import Mapping

from sam3model.playground.dice import Dice

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (216, 42, 46),
    "orange": (244, 134, 34),
    "yellow": (250, 212, 52),
    "green": (52, 158, 76),
    "blue": (42, 100, 218),
    "purple": (132, 66, 178),
    "pink": (248, 146, 190),
    "brown": (124, 78, 46),
    "black": (40, 40, 46),
    "white": (246, 246, 243),
}

SLATE: RGB = (88, 94, 112)
CREAM: RGB = (252, 248, 238)


def mix(a: RGB, b: RGB, fraction: float) -> RGB:
    """Blend of a and b with the fraction `fraction` of b."""
    return tuple(round(x + (y - x) * fraction) for x, y in zip(a, b, strict=True))  # pyright: ignore[reportReturnType]


def tone(colour: RGB, factor: float) -> RGB:
    """The colour darkened by `factor` (0 to 1)."""
    return mix((0, 0, 0), colour, factor)


def tint(colour: RGB, fraction: float) -> RGB:
    """The colour lightened by a fraction of white."""
    return mix(colour, (255, 255, 255), fraction)


def shade_of(name: str, dice: Dice, colours: Mapping[str, RGB] = COLOURS) -> RGB:
    """A slight variation of a colour word, never close to another one."""
    light = dice.uniform(0.94, 1.04) if name != "white" else dice.uniform(0.97, 1.0)
    red, green, blue = colours[name]
    spread = 7 if name not in ("white", "black") else 3
    shifted = [light * value + dice.uniform(-spread, spread) for value in (red, green, blue)]
    return tuple(max(0, min(255, round(value))) for value in shifted)  # pyright: ignore[reportReturnType]


def pattern_ink(name: str) -> RGB:
    """Colour of stripes and dots: visible on the colour `name`, and no colour word itself."""
    return SLATE if name in ("white", "yellow") else CREAM
