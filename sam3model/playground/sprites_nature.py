"""Plants, clouds and houses."""

from sam3model.playground.palette import RGB
from sam3model.playground.pen import Pen

BARK: RGB = (112, 78, 52)
STEM: RGB = (70, 140, 70)
DOOR: RGB = (110, 74, 50)
PANE: RGB = (190, 222, 238)


def tree(pen: Pen) -> None:
    """80 x 100: a round crown or a pointed one."""
    if pen.dice.chance(0.6):
        pen.poly([(35, 56), (45, 56), (48, 99), (32, 99)], BARK)
        for x, y, radius in ((24, 42, 22), (56, 42, 22), (40, 24, 24), (40, 48, 22)):
            pen.disc(x, y, radius)
        for x, y, radius in ((30, 22, 7), (22, 40, 6), (50, 34, 7)):
            pen.disc(x, y, radius, pen.light(0.16))
        return
    pen.rect(34, 74, 46, 99, BARK)
    for top, half in ((40, 36), (20, 30), (1, 23)):
        pen.poly([(40, top), (40 + half, top + 42), (40 - half, top + 42)], pen.dark(0.86 + 0.07 * (40 - top) / 20))
        pen.line([(40 - half + 3, top + 41), (40 + half - 3, top + 41)], 2, pen.dark(0.72))


def house(pen: Pen) -> None:
    """96 x 92: walls of the colour under a slate roof."""
    pen.rect(66, 8, 77, 34, (120, 88, 78))
    pen.rect(12, 40, 84, 91)
    pen.poly([(48, 2), (94, 44), (2, 44)], pen.dice.pick(((92, 84, 92), (104, 88, 84), (84, 92, 104))))
    pen.rect(40, 60, 56, 91, DOOR, 2)
    pen.disc(53, 77, 1.6, (240, 210, 120))
    for x in (19, 62):
        pen.rect(x, 54, x + 15, 70, CREAMY, 1)
        pen.rect(x + 2, 56, x + 13, 68, PANE)


CREAMY: RGB = (250, 246, 236)


def mushroom(pen: Pen) -> None:
    """86 x 84: a spotted cap on a pale stalk."""
    pen.blob([(33, 40), (53, 40), (56, 70), (60, 81), (43, 84), (26, 81), (30, 70)], (246, 236, 216))
    pen.blob([(2, 44), (8, 24), (24, 7), (43, 1), (62, 7), (78, 24), (84, 44), (64, 50), (43, 52), (22, 50)])
    for x, y, radius in ((26, 22, 6), (48, 13, 6.5), (64, 30, 6), (42, 36, 5.5), (16, 38, 4)):
        pen.disc(x, y, radius, (252, 246, 236) if sum(pen.colour) < 680 else (216, 200, 188))


def flower(pen: Pen) -> None:
    """80 x 100: six petals on a leafy stem."""
    pen.line([(40, 40), (42, 70), (40, 98)], 5, STEM)
    pen.blob([(41, 82), (54, 66), (70, 64), (62, 80)], STEM)
    pen.blob([(40, 90), (26, 76), (12, 76), (20, 90)], STEM)
    for x, y in ((40, 14), (61, 25), (61, 48), (40, 59), (19, 48), (19, 25)):
        pen.disc(x, y, 14.5)
    for x, y in ((40, 16), (58, 26), (58, 47), (40, 57), (22, 47), (22, 26)):
        pen.disc(x, y, 6, pen.dark(0.88))
    pen.disc(40, 36.5, 12, (248, 200, 60) if pen.colour[2] > 90 or pen.colour[1] < 100 else (120, 76, 44))


def cloud(pen: Pen) -> None:
    """100 x 58."""
    for x, y, radius in ((22, 38, 19), (44, 24, 23), (68, 28, 20), (82, 40, 17), (52, 42, 15)):
        pen.disc(x, y, radius)
    pen.rect(20, 36, 84, 57, None, 9)
    for x, y, radius in ((40, 20, 12), (66, 25, 9)):
        pen.disc(x, y, radius, pen.light(0.3))


def cactus(pen: Pen) -> None:
    """76 x 96: two arms, in a low pot of earth."""
    pen.line([(38, 18), (38, 90)], 24)
    pen.line([(38, 62), (14, 62), (14, 38)], 13)
    pen.line([(38, 52), (62, 52), (62, 28)], 13)
    for x in (32, 38, 44):
        pen.line([(x, 14), (x, 86)], 1.4, pen.dark(0.74))
    for x, y in ((14, 40), (62, 30)):
        pen.line([(x, y), (x, y + 16)], 1.4, pen.dark(0.74))
    pen.disc(38, 7, 6, (250, 190, 210))
