"""Household objects and clothes."""

from sam3model.playground.palette import RGB
from sam3model.playground.pen import CLEAR, Pen

WOOD: RGB = (150, 104, 64)
PAPER: RGB = (248, 242, 226)
METAL: RGB = (176, 180, 188)


def mug(pen: Pen) -> None:
    """92 x 80: a handle on the right and a dark mouth."""
    pen.oval(54, 18, 91, 64)
    pen.oval(62, 27, 81, 55, CLEAR)
    pen.rect(4, 10, 68, 79, None, 9)
    pen.oval(4, 1, 68, 19, pen.light(0.35) if sum(pen.colour) > 160 else (84, 84, 92))
    pen.oval(10, 4, 62, 16, (92, 62, 44))


def vase(pen: Pen) -> None:
    """66 x 100: a round belly and a flared neck."""
    pen.blob(
        [
            (24, 12),
            (42, 12),
            (44, 28),
            (60, 48),
            (62, 68),
            (50, 92),
            (46, 98),
            (20, 98),
            (16, 92),
            (4, 68),
            (6, 48),
            (22, 28),
        ]
    )
    pen.blob([(24, 16), (14, 4), (33, 1), (52, 4), (42, 16)])
    pen.oval(15, 0, 51, 9, pen.dark(0.6))
    pen.line([(20, 97), (46, 97)], 3, pen.dark(0.75))


def book(pen: Pen) -> None:
    """80 x 96: a closed book, its pages at the right and below."""
    pen.rect(8, 6, 79, 95, pen.dark(0.75), 4)
    pen.rect(12, 8, 76, 91, PAPER, 2)
    pen.rect(2, 1, 70, 87, None, 4)
    pen.rect(2, 1, 13, 87, pen.dark(0.8), 4)
    ink = pen.light(0.65) if sum(pen.colour) < 600 else pen.dark(0.62)
    pen.rect(24, 16, 60, 24, ink, 2)
    pen.rect(24, 30, 50, 35, ink, 2)


def chair(pen: Pen) -> None:
    """72 x 100: an upholstered chair on wooden legs."""
    for x in (12, 58):
        pen.line([(x, 64), (x - 2 if x < 30 else x + 2, 97)], 6.5, WOOD)
    pen.rect(10, 1, 62, 60, None, 12)
    pen.rect(18, 10, 54, 46, pen.dark(0.88), 8)
    pen.rect(2, 52, 70, 74, None, 9)
    pen.line([(8, 71), (64, 71)], 3, pen.dark(0.72))


def lamp(pen: Pen) -> None:
    """78 x 100: a shade of the colour on a slim foot."""
    pen.line([(39, 44), (39, 90)], 6, METAL)
    pen.oval(18, 86, 60, 99, METAL)
    pen.oval(18, 85, 60, 94, (206, 210, 216))
    pen.oval(24, 46, 54, 62, (255, 244, 200))
    pen.poly([(24, 2), (54, 2), (77, 54), (1, 54)])
    pen.line([(4, 52), (74, 52)], 3.5, pen.dark(0.76))


def umbrella(pen: Pen) -> None:
    """100 x 92: open, with a scalloped rim and a crook."""
    pen.line([(50, 6), (50, 80), (56, 88), (64, 86), (65, 80)], 4.5, (110, 84, 66))
    pen.pie(1, 3, 99, 99, 180, 360)
    for x in (1, 25.5, 50, 74.5):
        pen.oval(x, 43, x + 24.5, 58, CLEAR)
    pen.line([(50, 50), (50, 60)], 4.5, (110, 84, 66))
    for x in (25.5, 74.5):
        pen.line([(50, 4), (50 + 0.62 * (x - 50), 22), (x, 50)], 1.6, pen.dark(0.72))


def hat(pen: Pen) -> None:
    """100 x 58: a wide brim and a band."""
    pen.blob([(24, 44), (26, 14), (36, 3), (50, 6), (64, 3), (74, 14), (76, 44)])
    pen.oval(1, 34, 99, 57)
    pen.blob(
        [(25, 32), (50, 36), (75, 32), (76, 42), (50, 46), (24, 42)],
        (70, 58, 60) if sum(pen.colour) > 220 else (190, 180, 170),
    )


def bottle(pen: Pen) -> None:
    """44 x 100: a tall shoulder bottle with a pale label."""
    pen.rect(15, 0, 29, 8, (196, 160, 110), 2)
    pen.rect(16, 7, 28, 34)
    pen.blob([(16, 26), (28, 26), (34, 36), (42, 48), (43, 92), (38, 99), (6, 99), (1, 92), (2, 48), (10, 36)])
    pen.rect(4, 60, 40, 80, PAPER if sum(pen.colour) < 660 else (200, 206, 214), 2)


def bag(pen: Pen) -> None:
    """84 x 88: a handbag with a round handle."""
    pen.oval(20, 1, 64, 58, pen.dark(0.75))
    pen.oval(28, 9, 56, 50, CLEAR)
    pen.blob([(10, 34), (42, 32), (74, 34), (82, 80), (76, 87), (8, 87), (2, 80)])
    pen.blob([(10, 35), (42, 33), (74, 35), (68, 54), (42, 60), (16, 54)], pen.dark(0.84))
    pen.disc(42, 58, 5, (240, 206, 110))


def clock(pen: Pen) -> None:
    """84 x 88: an alarm clock with two bells and feet."""
    for x in (20, 64):
        pen.line([(42, 60), (x, 85)], 7, pen.dark(0.7))
        pen.disc(x, 14, 12, pen.dark(0.8))
    pen.disc(42, 48, 37)
    pen.disc(42, 48, 25, (250, 248, 240))
    pen.line([(42, 48), (42, 29)], 3.4, (50, 50, 58))
    pen.line([(42, 48), (55, 54)], 3.4, (50, 50, 58))


def teapot(pen: Pen) -> None:
    """100 x 76: a spout on the right and a handle on the left."""
    pen.oval(1, 18, 42, 66)
    pen.oval(9, 27, 32, 57, CLEAR)
    pen.blob([(68, 48), (80, 36), (88, 16), (98, 14), (94, 34), (84, 58), (72, 66)])
    pen.blob([(20, 40), (32, 22), (50, 17), (68, 22), (80, 40), (76, 62), (64, 74), (36, 74), (24, 62)])
    pen.oval(32, 11, 68, 26, pen.dark(0.84))
    pen.disc(50, 8, 6.5)
