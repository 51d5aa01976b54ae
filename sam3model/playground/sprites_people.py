"""People on a pitch: players in kit and the referee. Boxes are 64 x 100 units, facing right."""

from math import cos, pi, sin

from sam3model.playground.palette import RGB, tone
from sam3model.playground.pen import POSES, Pen

SKINS: tuple[RGB, ...] = ((244, 206, 174), (224, 172, 132), (190, 130, 92), (134, 88, 62), (98, 64, 46))
HAIRS: tuple[RGB, ...] = ((40, 30, 26), (72, 46, 30), (112, 72, 40), (206, 166, 96), (30, 28, 34))
BOOT: RGB = (34, 34, 40)

Joint = tuple[float, float]
Limb = tuple[Joint, Joint, Joint]

LEGS: tuple[tuple[Limb, Limb], ...] = (
    (((28, 60), (19, 73), (6, 80)), ((35, 60), (47, 72), (43, 93))),
    (((27, 60), (25, 77), (24, 94)), ((37, 60), (39, 77), (40, 94))),
    (((27, 60), (24, 77), (19, 94)), ((36, 60), (48, 68), (53, 78))),
    (((27, 60), (20, 77), (10, 93)), ((36, 60), (45, 76), (53, 93))),
)
ARMS: tuple[tuple[Limb, Limb], ...] = (
    (((24, 28), (14, 38), (20, 50)), ((40, 28), (49, 40), (59, 34))),
    (((23, 28), (15, 40), (14, 54)), ((41, 28), (49, 40), (50, 54))),
    (((23, 28), (11, 34), (5, 26)), ((41, 28), (52, 37), (60, 28))),
)


KICK = POSES + 1
"""Pose of a player at the moment of a kick."""


def _limb(root: Joint, angle: float, bend: float, lengths: Joint) -> Limb:
    """A limb whose upper half leans forward by `angle` radians and whose lower half is bent back by `bend`."""
    joint = root[0] + lengths[0] * sin(angle), root[1] + lengths[0] * cos(angle)
    return root, joint, (joint[0] + lengths[1] * sin(angle - bend), joint[1] + lengths[1] * cos(angle - bend))


def _run(pose: int) -> tuple[tuple[Limb, Limb], tuple[Limb, Limb]]:
    """Legs and arms of a pose: standing, kicking, or one step of running."""
    if pose == 0:
        return LEGS[1], ARMS[1]
    if pose == KICK:
        return LEGS[2], ARMS[2]
    legs, arms = [], []
    for side in (0, 1):
        phase = 2 * pi * ((pose - 1) / POSES + side / 2)
        bend = 0.25 + 1.15 * max(0.0, sin(phase + 2.3))
        legs.append(_limb(((27, 60), (36, 60))[side], 0.66 * sin(phase) + 0.1, bend, (16.5, 17)))
        arms.append(_limb(((24, 28), (40, 28))[side], -0.75 * sin(phase), -1.1, (13, 13)))
    return (legs[0], legs[1]), (arms[0], arms[1])


def _between(a: Joint, b: Joint, fraction: float) -> Joint:
    return a[0] + (b[0] - a[0]) * fraction, a[1] + (b[1] - a[1]) * fraction


def _leg(pen: Pen, limb: Limb, kit: RGB, skin: RGB) -> None:
    hip, knee, foot = limb
    pen.line([hip, knee, foot], 10.5, skin)
    pen.line([_between(knee, foot, 0.3), foot], 11.5, kit)
    pen.oval(foot[0] - 5, foot[1] - 2, foot[0] + 9, foot[1] + 6, BOOT)
    pen.line([hip, _between(hip, knee, 0.72)], 15, tone(kit, 0.9))


def _arm(pen: Pen, limb: Limb, sleeve: RGB, skin: RGB) -> None:
    shoulder, elbow, hand = limb
    pen.line([shoulder, elbow, hand], 8, skin)
    pen.line([shoulder, _between(shoulder, elbow, 0.8)], 11.5, sleeve)


def _head(pen: Pen, skin: RGB) -> None:
    hair = pen.dice.pick(HAIRS)
    pen.rect(29, 16, 36, 26, tone(skin, 0.88))
    pen.oval(23, 1, 41, 21, hair)
    pen.blob([(29, 7), (38, 6), (41, 12), (39, 19), (34, 22), (29, 18)], skin)
    if pen.zoom > 2.5:  # an eye under two pixels would only smear
        for x in (34.5, 38.5):
            pen.disc(x, 12.5, 0.9, (40, 34, 36))


def player(pen: Pen) -> None:
    """A player whose shirt, shorts and socks are all of the kit's colour."""
    skin = pen.dice.pick(SKINS)
    legs, arms = pen.dice.pick(LEGS), pen.dice.pick(ARMS)
    if pen.pose is not None:
        legs, arms = _run(pen.pose)
    _arm(pen, arms[0], pen.dark(0.84), skin)
    _leg(pen, legs[0], pen.dark(0.86), tone(skin, 0.88))
    _leg(pen, legs[1], pen.colour, skin)
    pen.blob([(21, 25), (32, 22), (43, 25), (43, 42), (41, 62), (32, 64), (23, 62), (21, 42)])
    pen.line([(24, 60), (40, 60)], 2.0, pen.dark(0.8))
    _head(pen, skin)
    pen.line([(28, 24), (33, 28), (37, 24)], 2.2, pen.light(0.55) if sum(pen.colour) < 600 else pen.dark(0.75))
    _arm(pen, arms[1], pen.dark(0.94), skin)


def referee(pen: Pen) -> None:
    """The referee: black and white stripes, black shorts, one arm up with a card."""
    skin = pen.dice.pick(SKINS)
    black, white = (38, 38, 44), (246, 246, 243)
    legs = pen.dice.pick(LEGS[1:2] + LEGS[3:])
    if pen.pose is not None:
        legs = _run(pen.pose)[0]
    _arm(pen, ((23, 28), (14, 40), (15, 54)), black, skin)
    _leg(pen, legs[0], black, tone(skin, 0.88))
    _leg(pen, legs[1], black, skin)
    pen.blob([(21, 25), (32, 22), (43, 25), (43, 42), (41, 60), (32, 61), (23, 60), (21, 42)], white)
    for x in (25, 32, 39):
        pen.line([(x, 26), (x, 58)], 3.2, black)
    _head(pen, skin)
    pen.line([(41, 28), (52, 22), (54, 9)], 8, skin)
    pen.line([(41, 28), (50, 23)], 11.5, black)
    pen.rect(49, 0, 60, 13, pen.dice.pick(((250, 208, 40), (224, 40, 44))), 1)
