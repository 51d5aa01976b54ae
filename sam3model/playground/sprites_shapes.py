"""Plain shapes, balls, balloons and kites."""

from math import cos, pi, sin

from sam3model.playground.pen import CLEAR, Pen


def ball(pen: Pen) -> None:
    """80 x 80: with five panels if plain."""
    pen.disc(40, 40, 39)
    if pen.look.pattern == "plain":
        panel = pen.dark(0.62) if sum(pen.colour) > 160 else (92, 92, 100)
        turn = pen.dice.uniform(0, 2 * pi)
        pen.poly([(40 + 12 * cos(turn + i * 0.4 * pi), 40 + 12 * sin(turn + i * 0.4 * pi)) for i in range(5)], panel)
        for i in range(5):
            angle = turn + i * 0.4 * pi
            pen.line(
                [(40 + 12 * cos(angle), 40 + 12 * sin(angle)), (40 + 28 * cos(angle), 40 + 28 * sin(angle))], 2, panel
            )
            pen.poly(
                [
                    (40 + r * cos(angle + a), 40 + r * sin(angle + a))
                    for r, a in ((27, 0), (33, 0.3), (37, 0.18), (37, -0.18), (33, -0.3))
                ],
                panel,
            )
    pen.oval(18, 12, 34, 24, pen.light(0.5))


def star(pen: Pen) -> None:
    """90 x 88."""
    points = [(45 + r * sin(i * pi / 5), 47 - r * cos(i * pi / 5)) for i in range(10) for r in ((46, 22)[i % 2],)]
    pen.poly(points)


def heart(pen: Pen) -> None:
    """90 x 84."""
    pen.blob(
        [
            (45, 20),
            (58, 4),
            (76, 3),
            (88, 18),
            (86, 38),
            (68, 62),
            (46, 83),
            (44, 83),
            (22, 62),
            (4, 38),
            (2, 18),
            (14, 3),
            (32, 4),
        ]
    )
    pen.oval(14, 14, 28, 26, pen.light(0.35))


def triangle(pen: Pen) -> None:
    """90 x 80."""
    pen.poly([(45, 1), (89, 79), (1, 79)])


def square(pen: Pen) -> None:
    """76 x 76."""
    pen.rect(1, 1, 75, 75, None, 4)


def ring(pen: Pen) -> None:
    """84 x 84: a thick band around a hole."""
    pen.disc(42, 42, 41)
    pen.disc(42, 42, 18, CLEAR)


def cross(pen: Pen) -> None:
    """84 x 84: two thick bars."""
    pen.rect(28, 1, 56, 83, None, 3)
    pen.rect(1, 28, 83, 56, None, 3)


def moon(pen: Pen) -> None:
    """72 x 92: a crescent."""
    pen.disc(46, 46, 45)
    pen.disc(68, 40, 36, CLEAR)


def balloon(pen: Pen) -> None:
    """70 x 100: tied, with a short string."""
    pen.line([(35, 84), (37, 91), (33, 98)], 2.5, (120, 116, 120))
    pen.blob([(35, 1), (58, 11), (68, 34), (60, 60), (42, 80), (28, 80), (10, 60), (2, 34), (12, 11)])
    pen.poly([(35, 78), (42, 88), (28, 88)], pen.dark(0.8))
    pen.oval(16, 14, 28, 34, pen.light(0.5))


def kite(pen: Pen) -> None:
    """78 x 100: a diamond with a bowed tail."""
    pen.line([(39, 78), (46, 86), (40, 94)], 3, (110, 100, 100))
    pen.poly([(39, 1), (77, 34), (39, 80), (1, 34)])
    if pen.look.pattern == "plain":
        pen.poly([(39, 1), (77, 34), (39, 34)], pen.light(0.22))
        pen.poly([(39, 34), (39, 80), (1, 34)], pen.dark(0.86))
    pen.poly([(36, 90), (46, 84), (50, 94)], pen.dark(0.85))
    pen.poly([(36, 92), (28, 90), (32, 99)], pen.dark(0.85))
