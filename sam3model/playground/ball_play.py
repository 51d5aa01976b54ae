"""Players of a pitch who run to the ball and kick it on."""

from dataclasses import dataclass

import numpy as np

from sam3model.playground.dice import Dice
from sam3model.playground.motion_paths import Motion, through
from sam3model.playground.sprites_people import KICK
from sam3model.playground.styles import Choreographer, Part

RUN = (45, 120)
"""Speed of players on their way to the ball, in pixels per second."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A player (by number) kicks a ball at a frame."""

    frame: int
    player: int
    ball: int


def play_ball(
    parts: list[Part], ball: int, players: list[int], stage: Choreographer, motions: list[Motion], dice: Dice
) -> tuple[list[Motion], list[Touch]]:
    """The motions with a ball that some of the players kick to each other."""
    frames = stage.frames
    number = min(len(players), 1 + int(frames > 16) * dice.integer(0, 1) + int(frames > 32) + int(frames > 64))
    kickers = dice.some(players, number)
    times = [round((0.22 + 0.6 * (i + dice.uniform(0, 0.5)) / number) * frames) for i in range(number)]
    spots = _spots(parts[ball], times, stage, dice)
    motions = list(motions)
    for i, kicker in enumerate(kickers):
        motions[kicker] = _kicker(parts[kicker], times[i], spots[i], spots[i + 1], stage, dice)
    motions[ball] = _ball(parts[ball], times, spots, stage, dice)
    for i in players:
        if i not in kickers:
            motions[i] = _clear_of(parts[i], motions[i], motions[ball], stage)
    return motions, [Touch(t, kicker, ball) for t, kicker in zip(times, kickers, strict=True)]


def _spots(ball: Part, times: list[int], stage: Choreographer, dice: Dice) -> list[tuple[float, float]]:
    """Where the ball lies at every kick, and where it rolls at last, on the stage."""
    low, high = stage.band(ball)
    low += 0.12 * (high - low)
    spots: list[tuple[float, float]] = []
    for t in times:
        left, right = stage.camera.edges(t)
        options = [(left + dice.uniform(0.2, 0.8) * (right - left), dice.uniform(low, high)) for _ in range(6)]
        before = spots[-1][0] if spots else options[0][0]
        spots.append(max(options, key=lambda spot: min(130, abs(spot[0] - before))) if spots else options[0])
    last = spots[-1]
    left, right = stage.camera.edges(stage.frames)
    way = dice.pick((-1, 1))
    away = (right + 40 if way > 0 else left - 40) if dice.chance(0.45) else last[0] + way * dice.uniform(50, 120)
    spots.append((away, max(low, min(high, last[1] + dice.uniform(-20, 20)))))
    return spots


def _kicker(
    part: Part, at: int, spot: tuple[float, float], goal: tuple[float, float], stage: Choreographer, dice: Dice
) -> Motion:
    """Wait, run to the ball, be beside it at the kick, run out, and stand."""
    way = 1 if goal[0] >= spot[0] else -1
    low, high = stage.band(part)
    step = dice.uniform(*RUN) / stage.rate
    foot = spot[0] - way * 0.8 * stage.half(part), max(low, min(high, spot[1] - 1))
    lead = min(step * at, dice.uniform(0.2, 0.5) * stage.camera.size[0])
    start = foot[0] - way * lead, max(low, min(high, foot[1] + dice.uniform(-0.5, 0.5) * lead))
    out = dice.uniform(0.4, 1.0) * stage.rate
    after = foot[0] + way * 0.6 * step * out
    times = (at - lead / step - 1e-3, at, at + out)
    x = through(list(zip(times, (start[0], foot[0], after), strict=True)), stage.frames)
    y = through(list(zip(times, (start[1], foot[1], foot[1]), strict=True)), stage.frames)
    _, pose = stage.strides(part, x, y, 0.9)
    pose[max(0, at - 1) : at + 2] = KICK
    return stage.build(part, x, y, pose=pose)


def _ball(part: Part, times: list[int], spots: list[tuple[float, float]], stage: Choreographer, dice: Dice) -> Motion:
    """Lie still until the first kick, then roll or fly from kick to kick, slower and slower."""
    t = np.arange(stage.frames, dtype=float)
    x, y = np.full(stage.frames, spots[0][0]), np.full(stage.frames, spots[0][1])
    height = np.zeros(stage.frames)
    ends = [*times[1:], times[-1] + dice.uniform(1.2, 2.2) * stage.rate]
    for begin, end, start, goal in zip(times, ends, spots, spots[1:], strict=False):
        takes = min(end - begin, max(5.0, 0.85 * (end - begin)))
        u = np.clip((t - begin) / max(1.0, takes), 0, 1)
        u_slow = 1 - (1 - u) ** 1.7
        after = t > begin
        x = np.where(after, start[0] + (goal[0] - start[0]) * u_slow, x)
        y = np.where(after, start[1] + (goal[1] - start[1]) * u_slow, y)
        if dice.chance(0.4):
            lob = dice.uniform(0.15, 0.5) * min(150.0, abs(goal[0] - start[0]))
            height = np.where(after, 4 * lob * np.clip(u * 1.4, 0, 1) * (1 - np.clip(u * 1.4, 0, 1)), height)
    return stage.build(part, x, y, height, np.degrees((x - x[0]) / stage.half(part)))


def _clear_of(part: Part, motion: Motion, ball: Motion, stage: Choreographer) -> Motion:
    """The motion, moved up or down the pitch where it would come so near the ball that it seemed to play it."""
    near = np.abs(motion.x - ball.x) < 1.6 * stage.half(part)
    if not near.any():
        return motion
    low, high = stage.band(part)
    for shift in (0, -14, 14, -26, 26, -40, 40, -60, 60):
        y = motion.y + shift
        apart = np.abs(y - ball.y)[near]
        if low <= y.min() and y.max() <= high and apart.min() > 10:
            return motion if not shift else stage.build(part, motion.x, y, motion.height, 0.0, motion.pose)
    return motion
