"""Fruit and cake."""

from sam3model.playground.palette import RGB
from sam3model.playground.pen import Pen

STALK: RGB = (104, 74, 48)
LEAF: RGB = (84, 160, 74)


def apple(pen: Pen) -> None:
    """84 x 90."""
    pen.blob(
        [
            (42, 24),
            (56, 17),
            (74, 22),
            (83, 42),
            (78, 66),
            (60, 87),
            (42, 84),
            (24, 87),
            (6, 66),
            (1, 42),
            (10, 22),
            (28, 17),
        ]
    )
    pen.line([(42, 26), (44, 12), (50, 4)], 4.5, STALK)
    pen.blob([(48, 14), (58, 3), (74, 4), (64, 15)], LEAF)
    pen.oval(16, 32, 28, 50, pen.light(0.4))


def banana(pen: Pen) -> None:
    """100 x 66: a crescent with dark tips."""
    pen.blob(
        [
            (3, 14),
            (12, 6),
            (20, 22),
            (38, 36),
            (62, 38),
            (84, 26),
            (92, 8),
            (99, 14),
            (97, 36),
            (80, 56),
            (54, 65),
            (28, 58),
            (10, 38),
        ]
    )
    pen.blob([(2, 12), (7, 3), (14, 6), (12, 16)], STALK)
    pen.blob([(90, 10), (95, 5), (99, 12), (96, 18)], STALK)
    pen.line([(18, 36), (38, 50), (62, 52), (84, 40)], 2.4, pen.dark(0.86))


def pear(pen: Pen) -> None:
    """72 x 100."""
    pen.blob(
        [
            (36, 14),
            (48, 20),
            (52, 38),
            (66, 56),
            (70, 76),
            (58, 96),
            (36, 98),
            (14, 96),
            (2, 76),
            (6, 56),
            (20, 38),
            (24, 20),
        ]
    )
    pen.line([(36, 18), (37, 8), (42, 2)], 4.5, STALK)
    pen.blob([(40, 12), (50, 2), (64, 5), (54, 14)], LEAF)
    pen.oval(13, 58, 25, 76, pen.light(0.35))


def cake(pen: Pen) -> None:
    """84 x 92: a cupcake, frosting of the colour over a paper case."""
    pen.poly([(12, 52), (72, 52), (64, 91), (20, 91)], (214, 178, 130))
    for x in (26, 36, 48, 58):
        pen.line([(x, 58), (x + (x - 42) * -0.14, 88)], 1.8, (176, 138, 96))
    for x0, y0, x1, y1 in ((4, 38, 80, 62), (12, 23, 72, 47), (22, 9, 62, 33)):
        pen.oval(x0, y0, x1, y1)
        pen.oval(x0 + 6, y1 - 8, x1 - 6, y1 - 2, pen.dark(0.86))
    pen.disc(42, 7, 6.5, (214, 40, 60) if pen.colour[1] > 90 or pen.colour[0] < 180 else (250, 240, 230))
