"""Vehicles in side view, facing right."""

from sam3model.playground.palette import RGB
from sam3model.playground.pen import Pen

GLASS: RGB = (178, 216, 236)
GLASS_DARK: RGB = (120, 160, 190)
TYRE: RGB = (36, 36, 42)
HUB: RGB = (196, 200, 206)
LAMP: RGB = (255, 240, 180)


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.disc(x, y, radius, TYRE)
    pen.disc(x, y, radius * 0.5, HUB)


def car(pen: Pen) -> None:
    """100 x 50."""
    pen.blob([(20, 26), (30, 4), (48, 1), (66, 4), (78, 24), (60, 32), (30, 32)])
    pen.blob([(2, 40), (3, 25), (16, 21), (50, 20), (84, 22), (97, 27), (99, 40), (84, 43), (16, 43)])
    pen.poly([(27, 22), (33, 8), (46, 6), (46, 22)], GLASS)
    pen.poly([(50, 22), (50, 6), (63, 8), (72, 22)], GLASS)
    pen.line([(8, 34), (94, 34)], 1.6, pen.dark(0.7))
    pen.oval(91, 26, 98, 32, LAMP)
    pen.rect(1, 27, 6, 32, (220, 60, 50), 1)
    _wheel(pen, 24, 40, 10)
    _wheel(pen, 76, 40, 10)


def truck(pen: Pen) -> None:
    """100 x 58: a big box behind a low cab."""
    pen.rect(1, 2, 64, 44, None, 3)
    for x in (16, 32, 48):
        pen.line([(x, 6), (x, 40)], 1.4, pen.dark(0.8))
    pen.blob([(67, 16), (74, 14), (88, 15), (96, 28), (99, 36), (98, 47), (68, 47)], pen.dark(0.9))
    pen.poly([(77, 19), (87, 19), (94, 31), (77, 31)], GLASS)
    pen.rect(1, 43, 98, 49, (70, 72, 80), 2)
    pen.oval(93, 36, 99, 42, LAMP)
    for x in (16, 36, 82):
        _wheel(pen, x, 48, 9)


def bus(pen: Pen) -> None:
    """100 x 52: long, with a row of windows."""
    pen.rect(1, 1, 99, 44, None, 7)
    for x in (7, 23, 39, 55):
        pen.rect(x, 8, x + 13, 23, GLASS, 2)
    pen.rect(72, 8, 82, 42, GLASS_DARK, 2)
    pen.rect(86, 8, 98, 25, GLASS, 3)
    pen.rect(3, 30, 70, 34, pen.light(0.45) if sum(pen.colour) < 650 else pen.dark(0.8))
    pen.oval(93, 33, 99, 39, LAMP)
    _wheel(pen, 22, 43, 8.5)
    _wheel(pen, 78, 43, 8.5)


def bicycle(pen: Pen) -> None:
    """100 x 64: disc wheels and a stout frame."""
    for x in (21, 79):
        pen.disc(x, 43, 20, TYRE)
        pen.disc(x, 43, 15.5, pen.light(0.12) if sum(pen.colour) > 200 else (70, 70, 78))
        pen.disc(x, 43, 4, HUB)
    for stroke in ([(21, 43), (38, 20), (68, 18), (48, 44), (21, 43)], [(38, 20), (48, 44)], [(79, 43), (66, 8)]):
        pen.line(stroke, 7)
    pen.line([(36, 20), (34, 11)], 5, HUB)
    pen.line([(25, 9), (43, 9)], 6, TYRE)
    pen.line([(66, 8), (58, 4)], 5, TYRE)
    pen.disc(48, 44, 6.5, (60, 62, 70))


def boat(pen: Pen) -> None:
    """90 x 96: a coloured hull and sail."""
    pen.line([(46, 4), (46, 76)], 4, (120, 84, 54))
    pen.blob([(50, 4), (66, 26), (78, 50), (84, 66), (66, 67), (50, 66)])
    pen.poly([(42, 14), (42, 66), (12, 66)], pen.light(0.28) if sum(pen.colour) > 200 else (74, 74, 82))
    pen.blob([(2, 72), (24, 74), (66, 74), (88, 71), (78, 90), (68, 95), (24, 95), (13, 90)])
    pen.line([(6, 76), (84, 76)], 3.5, pen.dark(0.7))


def plane(pen: Pen) -> None:
    """100 x 60: an airliner."""
    pen.poly([(44, 26), (28, 2), (38, 2), (62, 27)], pen.dark(0.85))
    pen.poly([(3, 8), (13, 6), (26, 28), (10, 30)])
    pen.blob([(4, 30), (14, 23), (50, 20), (84, 22), (97, 30), (90, 38), (50, 42), (16, 38)])
    for x in (32, 42, 52, 62, 72):
        pen.disc(x, 28, 2.7, GLASS)
    pen.poly([(83, 24), (91, 26), (93, 30), (83, 30)], GLASS_DARK)
    pen.poly([(56, 34), (34, 58), (24, 58), (36, 34)], pen.dark(0.8))
    pen.poly([(16, 31), (6, 42), (1, 42), (6, 31)], pen.dark(0.8))


def rocket(pen: Pen) -> None:
    """60 x 100: nose up, with fins and a flame."""
    pen.blob([(30, 99), (20, 84), (22, 76), (38, 76), (40, 84)], (255, 190, 60))
    pen.blob([(30, 92), (25, 82), (35, 82)], (255, 240, 190))
    pen.blob([(16, 54), (4, 66), (2, 84), (18, 76)], pen.dark(0.75))
    pen.blob([(44, 54), (56, 66), (58, 84), (42, 76)], pen.dark(0.75))
    pen.blob([(30, 0), (41, 18), (45, 44), (40, 77), (30, 79), (20, 77), (15, 44), (19, 18)])
    pen.disc(30, 34, 9, (232, 236, 240))
    pen.disc(30, 34, 6.5, GLASS_DARK)
    pen.line([(19, 66), (41, 66)], 2.5, pen.dark(0.75))
