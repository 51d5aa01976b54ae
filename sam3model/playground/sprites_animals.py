"""Animals in side view, facing right."""

from sam3model.playground.palette import RGB
from sam3model.playground.pen import Pen

EYE: RGB = (26, 24, 28)
SHINE: RGB = (255, 255, 255)
BEAK: RGB = (236, 150, 40)


def _eye(pen: Pen, x: float, y: float, radius: float = 2.6) -> None:
    pen.disc(x, y, radius + 1.6, SHINE)
    pen.disc(x, y, radius, EYE)


def cat(pen: Pen) -> None:
    """82 x 92: sitting upright, tail curled."""
    pen.line([(18, 84), (6, 72), (6, 54), (13, 46)], 8, pen.dark(0.88))
    pen.blob([(30, 46), (50, 44), (62, 60), (64, 88), (40, 91), (16, 88), (18, 64)])
    pen.poly([(36, 26), (36, 1), (52, 14)])
    pen.poly([(76, 26), (78, 1), (62, 14)])
    pen.poly([(39, 18), (39, 8), (47, 15)], (240, 170, 170))
    pen.poly([(73, 18), (74, 8), (66, 15)], (240, 170, 170))
    pen.oval(33, 11, 81, 50)
    for x in (48, 66):
        pen.oval(x - 4, 24, x + 4, 34, (214, 226, 120))
        pen.oval(x - 1.6, 25, x + 1.6, 33, EYE)
    pen.poly([(54, 37), (60, 37), (57, 41)], (236, 140, 140))
    pen.line([(52, 66), (52, 88)], 2, pen.dark(0.74))
    pen.oval(42, 82, 58, 91, pen.light(0.2))
    pen.oval(56, 82, 70, 91, pen.light(0.2))


def dog(pen: Pen) -> None:
    """100 x 80: standing, with hanging ears."""
    pen.line([(12, 38), (5, 26), (4 + 3 * pen.swing(), 16)], 7)
    for x in (20, 34):
        step = 8 * pen.swing(0.5 if x == 34 else 0.0)
        pen.line([(x, 50), (x - 2 + step, 75)], 9, pen.dark(0.86) if x == 34 else None)
    for x in (58, 68):
        step = 8 * pen.swing(0.1 if x == 58 else 0.6)
        pen.line([(x, 50), (x + step, 75)], 9, pen.dark(0.86) if x == 58 else None)
    pen.blob([(10, 36), (24, 30), (52, 30), (70, 28), (78, 40), (72, 56), (44, 58), (18, 58), (10, 48)])
    pen.blob([(62, 10), (74, 3), (86, 8), (98, 20), (99, 30), (88, 34), (76, 38), (64, 34)])
    pen.blob(
        [(64, 8), (72, 10), (72, 28), (64, 38), (57, 28), (59, 14)],
        pen.dark(0.7) if sum(pen.colour) > 160 else (74, 70, 74),
    )
    _eye(pen, 82, 16, 2.4)
    pen.disc(96, 23, 3.6, EYE)
    pen.line([(64, 36), (76, 40)], 4, (200, 60, 60) if pen.colour[0] < 180 or pen.colour[1] > 90 else (60, 110, 200))


def fish(pen: Pen) -> None:
    """100 x 64."""
    tail = 4 + 6 * abs(pen.swing())
    pen.blob([(26, 32), (tail, 8), (12, 32), (tail, 58)], pen.dark(0.82))
    pen.blob([(40, 14), (52, 0), (70, 4), (66, 16)], pen.dark(0.82))
    pen.blob([(48, 50), (52, 63), (62, 60), (62, 48)], pen.dark(0.82))
    pen.blob([(20, 32), (38, 14), (64, 10), (88, 20), (98, 33), (86, 46), (62, 54), (38, 50)])
    pen.blob([(52, 32), (42, 26), (40, 40)], pen.dark(0.82))
    _eye(pen, 82, 26, 3.2)
    pen.line([(72, 18), (69, 32), (72, 44)], 2, pen.dark(0.75))


def bird(pen: Pen) -> None:
    """100 x 74: a round songbird with a raised wing."""
    pen.poly([(26, 44), (1, 42), (3, 58), (30, 56)], pen.dark(0.8))
    pen.poly([(84, 22), (99, 29), (84, 34)], BEAK)
    pen.blob([(16, 46), (36, 32), (58, 26), (66, 12), (78, 9), (89, 18), (88, 34), (78, 54), (56, 66), (32, 60)])
    lift = 0.2 + 0.8 * pen.beat()
    wing = [(34, 40), (20, 20), (18, 1), (40, 10), (58, 30), (56, 46)]
    pen.blob([(x, 40 + (y - 40) * lift) for x, y in wing], pen.dark(0.84))
    pen.line([(30, 40 - 22 * lift), (44, 40 - 4 * lift)], 1.8, pen.dark(0.68))
    _eye(pen, 78, 20, 2.8)
    for x in (50, 60):
        pen.line([(x, 62), (x + 2, 72)], 3, BEAK)


def butterfly(pen: Pen) -> None:
    """100 x 80: four wings with pale spots."""
    spread = 0.68 + 0.32 * pen.beat()
    for side in (-spread, spread):
        pen.blob([(50 + side * x, y) for x, y in ((2, 38), (14, 8), (38, 2), (48, 14), (42, 36), (20, 44))])
        pen.blob(
            [(50 + side * x, y) for x, y in ((2, 40), (26, 42), (40, 54), (34, 74), (18, 78), (6, 60))], pen.dark(0.86)
        )
        pen.disc(50 + side * 32, 18, 6, pen.light(0.55))
        pen.disc(50 + side * 24, 60, 5, pen.light(0.55))
    pen.line([(50, 22), (50, 68)], 6, (50, 42, 44))
    for side in (-1, 1):
        pen.line([(50, 22), (50 + side * 9, 7)], 2, (50, 42, 44))


def turtle(pen: Pen) -> None:
    """100 x 62: a domed shell of the colour."""
    skin = (150, 176, 110)
    pen.blob([(76, 34), (84, 22), (97, 24), (99, 36), (88, 44), (76, 46)], skin)
    for x in (22, 70):
        step = 4 * pen.swing(0.5 if x == 70 else 0.0)
        pen.blob([(x - 9, 44), (x + 9, 44), (x + 7 + step, 61), (x - 7 + step, 61)], skin)
    pen.poly([(10, 42), (1, 52), (14, 50)], skin)
    pen.blob([(6, 46), (12, 24), (30, 6), (48, 2), (66, 8), (80, 26), (84, 46), (62, 50), (28, 50)])
    for x, y in ((46, 16), (28, 30), (62, 30), (45, 36)):
        pen.disc(x, y, 6.5, pen.dark(0.8))
    pen.line([(8, 46), (82, 46)], 5, pen.dark(0.72))
    _eye(pen, 91, 29, 2.0)
