"""Objects of the shifted domain; none is drawn like an object of Playground."""

from math import cos, pi, sin

from sam3model.playground.palette import RGB
from sam3model.playground.pen import CLEAR, Pen

EYE: RGB = (28, 26, 34)
SHINE: RGB = (255, 255, 255)
STEEL: RGB = (168, 174, 186)
WOOD: RGB = (156, 110, 70)
GLOW: RGB = (255, 226, 130)
GLASS: RGB = (190, 226, 240)


def _eye(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.disc(x, y, radius, SHINE)
    pen.disc(x + 0.2 * radius, y + 0.15 * radius, 0.55 * radius, EYE)


def robot(pen: Pen) -> None:
    """76 x 100: a boxy body on two feet, an aerial on its head."""
    pen.line([(38, 16), (38, 5)], 3, STEEL)
    pen.disc(38, 5, 4.5, GLOW)
    for x in (11, 65):
        pen.line([(38 + 0.6 * (x - 38), 54), (x, 60), (x, 72)], 7, STEEL)
        pen.disc(x, 74, 6, pen.dark(0.8))
    for x in (27, 49):
        pen.line([(x, 80), (x, 92)], 8, STEEL)
        pen.rect(x - 10, 90, x + 9, 99, pen.dark(0.75), 4)
    pen.rect(18, 47, 58, 85, None, 6)
    pen.rect(26, 55, 50, 70, pen.light(0.55), 3)
    for i, light in enumerate(((224, 84, 80), GLOW, (110, 190, 120))):
        pen.disc(31 + 7 * i, 62.5, 2.4, light)
    pen.rect(14, 15, 62, 45, None, 8)
    pen.rect(20, 21, 56, 37, (42, 46, 60), 6)
    for x in (30, 46):
        pen.disc(x, 29, 4.6, GLOW)
    pen.line([(31, 41), (45, 41)], 2.4, pen.dark(0.6))


def octopus(pen: Pen) -> None:
    """96 x 96: a round head over eight curling arms."""
    for side in (-1, 1):
        for reach, drop, curl in ((43, 60, -9), (33, 78, -10), (20, 86, -8), (7, 87, 5)):
            x = 48 + side * reach
            path = [(48 + side * 0.45 * reach, 52), (48 + side * 0.85 * reach, drop - 12), (x, drop)]
            pen.line([*path, (x + side * curl, drop + 3)], 9.5, pen.dark(0.86) if reach in (33, 7) else None)
            pen.disc(x + side * 0.4 * curl, drop, 1.7, pen.light(0.5))
    pen.blob([(48, 1), (70, 7), (79, 26), (74, 46), (60, 60), (36, 60), (22, 46), (17, 26), (26, 7)])
    for x in (38, 58):
        _eye(pen, x, 34, 7)
    pen.line([(42, 48), (48, 51), (54, 48)], 2.4, pen.dark(0.55))
    for x, y, radius in ((34, 16, 4), (45, 11, 2.6), (62, 14, 3)):
        pen.disc(x, y, radius, pen.light(0.4))


def anchor(pen: Pen) -> None:
    """80 x 100: a ring, a stock and two flukes."""
    pen.disc(40, 13, 12.5)
    pen.disc(40, 13, 6, CLEAR)
    pen.rect(35, 23, 45, 94, None, 3)
    pen.rect(17, 31, 63, 40, None, 4)
    arc = [(40 - 33 * cos(a), 60 + 33 * sin(a)) for a in (i * pi / 10 for i in range(11))]
    pen.line(arc, 10)
    for side in (-1, 1):
        pen.poly([(40 + side * x, y) for x, y in ((38, 45), (39, 70), (19, 62))])
    pen.line([(38, 30), (38, 84)], 2.4, pen.light(0.4))


def guitar(pen: Pen) -> None:
    """52 x 100: standing upright, with a dark hole and six strings."""
    pen.rect(22.5, 12, 29.5, 56, WOOD)
    pen.poly([(20, 1), (32, 1), (30.5, 15), (21.5, 15)], pen.dark(0.55))
    for y in (4, 9):
        pen.disc(18.5, y, 2.2, STEEL)
        pen.disc(33.5, y, 2.2, STEEL)
    pen.blob([
        (26, 43), (39, 44), (44, 53), (40, 63), (49, 74), (49, 89), (38, 99), (14, 99), (3, 89), (3, 74), (12, 63),
        (8, 53), (13, 44),
    ])  # fmt: skip
    pen.disc(26, 68, 8.5, pen.light(0.5))
    pen.disc(26, 68, 6.5, (46, 34, 32))
    pen.rect(23.2, 40, 28.8, 61, WOOD)
    pen.rect(16, 85, 36, 89, (64, 44, 38), 1.5)
    for x in (24.4, 26, 27.6):
        pen.line([(x, 12), (x, 86)], 0.7, (240, 234, 220))


def key(pen: Pen) -> None:
    """100 x 44: a round bow with a hole on the left, the bit on the right."""
    pen.line([(36, 22), (95, 22)], 9)
    for x, long in ((72, 14), (83, 10), (93, 16)):
        pen.rect(x - 4, 22, x + 4, 24 + long, None, 1.5)
    pen.disc(22, 22, 21)
    pen.disc(22, 22, 15.5, pen.dark(0.82))
    pen.disc(15, 22, 7.5, CLEAR)
    pen.rect(41, 14, 46, 30, pen.dark(0.78), 2)
    pen.line([(50, 20), (90, 20)], 1.8, pen.light(0.4))


def snail(pen: Pen) -> None:
    """100 x 74: a soft body under a large coiled shell."""
    skin = (214, 196, 150)
    for x, y in ((80, 12), (93, 16)):
        pen.line([(84, 40), (x, y)], 3.6, skin)
        pen.disc(x, y, 3.6, EYE)
    pen.blob([(2, 70), (14, 60), (40, 54), (68, 56), (74, 40), (84, 32), (95, 36), (97, 50), (90, 66), (74, 73),
              (20, 73)], skin)  # fmt: skip
    pen.line([(90, 51), (95, 49)], 1.8, (150, 120, 90))
    pen.disc(41, 35, 33)
    turns = [(41 + (27 - 1.25 * i) * cos(0.5 * i), 36 + (27 - 1.25 * i) * sin(0.5 * i)) for i in range(20)]
    pen.line(turns, 4.2, pen.dark(0.66))
    pen.oval(22, 10, 36, 19, pen.light(0.45))


def crab(pen: Pen) -> None:
    """100 x 78: a broad shell, raised claws and legs at both sides."""
    for side in (-1, 1):
        for knee, foot in (((34, 46), (44, 56)), ((33, 54), (40, 66)), ((27, 60), (31, 73))):
            pen.line([(50 + side * x, y) for x, y in ((22, 48), knee, foot)], 5.4, pen.dark(0.82))
        pen.line([(50 + side * x, y) for x, y in ((24, 42), (40, 36), (38, 24))], 7)
        pen.disc(50 + side * 36, 14, 13)
        pen.poly([(50 + side * x, y) for x, y in ((34, 15), (25, -1), (41, -1))], CLEAR)
        pen.line([(50 + side * 10, 34), (50 + side * 11, 22)], 3.4, pen.dark(0.82))
    pen.blob([(50, 30), (72, 33), (82, 46), (74, 61), (50, 67), (26, 61), (18, 46), (28, 33)])
    for x in (39, 61):
        _eye(pen, x, 20, 5.4)
    pen.line([(40, 52), (45, 56), (55, 56), (60, 52)], 2.6, pen.dark(0.55))
    for x in (30, 70):
        pen.disc(x, 46, 3.4, pen.light(0.4))


def spaceship(pen: Pen) -> None:
    """100 x 56: a saucer with a glass dome and lamps along its rim."""
    for side in (-1, 1):
        pen.line([(50 + side * 22, 42), (50 + side * 30, 53)], 4, STEEL)
        pen.disc(50 + side * 30, 53, 3, STEEL)
    pen.pie(27, 0, 73, 48, 180, 360, GLASS)
    pen.disc(50, 17, 6.5, (120, 186, 110))
    pen.oval(44, 14, 49, 20, EYE)
    pen.oval(51, 14, 56, 20, EYE)
    pen.line([(34, 14), (39, 8)], 2.4, SHINE)
    pen.blob([(2, 33), (22, 22), (50, 19), (78, 22), (98, 33), (80, 43), (50, 48), (20, 43)])
    pen.blob([(24, 40), (50, 38), (76, 40), (66, 47), (50, 50), (34, 47)], pen.dark(0.72))
    for i in range(5):
        pen.disc(18 + 16 * i, 31 + 1.6 * (2 - abs(i - 2)), 3.4, GLOW)
